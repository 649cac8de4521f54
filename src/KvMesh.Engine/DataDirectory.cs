using System.Runtime.InteropServices;
using System.Text.Json;
using KvMesh.Engine.Blocks;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Keys;

namespace KvMesh.Engine;

/// <summary>
/// The folder that makes a node the same node after a restart: its lock, its identity, the secret of its digests and the epochs
/// of purged scopes. Small files are replaced as a whole, so a crash leaves the old or the new one.
/// </summary>
internal sealed class DataDirectory : IDisposable
{
    private const string ScopesFile = "scopes.json";
    private const int IdentityBytes = 32;

    private readonly FileStream _lock;
    private readonly Lock _scopes = new();

    private DataDirectory(string path, FileStream directoryLock, Guid store, DigestSecret secret)
    {
        Path = path;
        Store = store;
        Secret = secret;
        _lock = directoryLock;
    }

    public string Path { get; }

    /// <summary>Names this directory's data, so that files of another one are told apart.</summary>
    public Guid Store { get; }

    public DigestSecret Secret { get; }

    /// <summary>Takes the directory for this process alone, and makes what is missing.</summary>
    /// <exception cref="EngineStartException">Another process has it, or it cannot be written.</exception>
    public static DataDirectory Open(string path)
    {
        path = System.IO.Path.GetFullPath(path);
        try
        {
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            var directoryLock = TakeLock(path);
            try
            {
                var (store, secret) = ReadOrCreateIdentity(System.IO.Path.Combine(path, "identity"));
                return new DataDirectory(path, directoryLock, store, secret);
            }
            catch
            {
                directoryLock.Dispose();
                throw;
            }
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or IOException)
        {
            throw new EngineStartException($"Engine:DataDirectory {path} cannot be used: {exception.Message}", exception);
        }
    }

    /// <summary>The scopes that were purged before, with their epochs.</summary>
    public IReadOnlyList<ScopeEpoch> ReadScopes()
    {
        var file = System.IO.Path.Combine(Path, ScopesFile);
        if (!File.Exists(file))
        {
            return [];
        }

        try
        {
            return JsonSerializer.Deserialize<ScopeEpoch[]>(File.ReadAllBytes(file)) ?? [];
        }
        catch (JsonException exception)
        {
            throw new EngineStartException($"{file} is damaged: without it purged blocks would come back. Remove it together with the blocks.", exception);
        }
    }

    /// <summary>Writes the epochs of all purged scopes, before the purge is acknowledged.</summary>
    public void WriteScopes(IEnumerable<Tenant> tenants)
    {
        lock (_scopes)
        {
            var scopes = tenants.SelectMany(tenant => tenant.Scopes).Where(scope => scope.Epoch > 0)
                .Select(scope => new ScopeEpoch(scope.Tenant.Name, scope.Model, scope.Revision, scope.Epoch)).ToArray();
            Replace(System.IO.Path.Combine(Path, ScopesFile), JsonSerializer.SerializeToUtf8Bytes(scopes));
        }
    }

    public void Dispose() => _lock.Dispose();

    private static FileStream TakeLock(string path)
    {
        // The runtime locks the file also against readers, so who holds it is written beside it.
        var owner = System.IO.Path.Combine(path, "owner");
        FileStream stream;
        try
        {
            stream = new FileStream(System.IO.Path.Combine(path, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception) when (File.Exists(owner))
        {
            throw new EngineStartException(
                $"Engine:DataDirectory {path} is in use by process {File.ReadAllText(owner).Trim()}. Stop it, or choose another directory.", exception);
        }

        File.WriteAllText(owner, $"{Environment.ProcessId}\n");
        return stream;
    }

    private static (Guid Store, DigestSecret Secret) ReadOrCreateIdentity(string file)
    {
        Span<byte> identity = stackalloc byte[IdentityBytes + sizeof(uint)];
        if (!File.Exists(file))
        {
            MemoryMarshal.Write(identity, Guid.NewGuid());
            MemoryMarshal.Write(identity[16..], DigestSecret.Create());
            MemoryMarshal.Write(identity[IdentityBytes..], Crc32C.Compute(identity[..IdentityBytes]));
            Replace(file, identity);
        }
        else
        {
            var stored = File.ReadAllBytes(file);
            if (stored.Length != identity.Length
                || MemoryMarshal.Read<uint>(stored.AsSpan(IdentityBytes)) != Crc32C.Compute(stored.AsSpan(0, IdentityBytes)))
            {
                throw new EngineStartException($"{file} is damaged. The blocks of this directory cannot be found without it: remove the directory.");
            }

            stored.CopyTo(identity);
        }

        return (MemoryMarshal.Read<Guid>(identity), MemoryMarshal.Read<DigestSecret>(identity[16..]));
    }

    private static void Replace(string file, ReadOnlySpan<byte> content)
    {
        var temporary = file + ".new";
        using (var handle = File.OpenHandle(temporary, FileMode.Create, FileAccess.Write))
        {
            RandomAccess.Write(handle, content, 0);
            RandomAccess.FlushToDisk(handle);
        }

        File.Move(temporary, file, overwrite: true);
    }
}

/// <summary>How often a scope was purged.</summary>
internal sealed record ScopeEpoch(string Tenant, string Model, string Revision, uint Epoch);
