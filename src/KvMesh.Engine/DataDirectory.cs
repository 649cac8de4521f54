using System.Runtime.InteropServices;
using System.Text.Json;
using KvMesh.Engine.Arena;
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

    private DataDirectory(string path, FileStream directoryLock, Guid store, DigestSecret secret, bool isNew)
    {
        Path = path;
        IsNew = isNew;
        Store = store;
        Secret = secret;
        _lock = directoryLock;
    }

    public string Path { get; }

    /// <summary>Names this directory's data, so that files of another one are told apart.</summary>
    public Guid Store { get; }

    public DigestSecret Secret { get; }

    /// <summary>Whether this process gave it its identity: nobody else ever wrote under it.</summary>
    public bool IsNew { get; }

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
                var file = System.IO.Path.Combine(path, "identity");
                var isNew = !File.Exists(file);
                var (store, secret) = ReadOrCreateIdentity(file);
                return new DataDirectory(path, directoryLock, store, secret, isNew);
            }
            catch
            {
                directoryLock.Dispose();
                throw;
            }
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or IOException)
        {
            throw new EngineStartException($"DataDirectory {path} cannot be used: {exception.Message}", exception);
        }
    }

    /// <summary>Gives the tenants the epochs of their scopes, before anything is read that is compared with them.</summary>
    public void RestoreScopes(TenantTable tenants)
    {
        foreach (var stored in ReadScopes().OrderBy(scope => scope.Model is not null))
        {
            var scopes = tenants.Find(stored.Tenant)?.Scopes;
            if (stored.Model is null || stored.Revision is null)
            {
                scopes?.RestoreFloor(stored.Epoch);
                continue;
            }

            scopes?.Restore(stored.Model, stored.Revision, stored.Epoch);
        }
    }

    /// <summary>Writes the epochs of all scopes that were purged, before the purge is acknowledged.</summary>
    public void WriteScopes(IEnumerable<Tenant> tenants)
    {
        lock (_scopes)
        {
            Replace(System.IO.Path.Combine(Path, ScopesFile), JsonSerializer.SerializeToUtf8Bytes(tenants.SelectMany(EpochsOf)));
        }
    }

    public void Dispose() => _lock.Dispose();

    private ScopeEpoch[] ReadScopes()
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

    private static IEnumerable<ScopeEpoch> EpochsOf(Tenant tenant)
    {
        var (floor, others) = tenant.Scopes.Epochs();
        var stored = others.Select(scope => new ScopeEpoch(tenant.Name, scope.Model, scope.Revision, scope.Epoch));
        return floor == 0 ? stored : stored.Prepend(new ScopeEpoch(tenant.Name, null, null, floor));
    }

    private static FileStream TakeLock(string path)
    {
        // The runtime locks the file also against readers, so who holds it is written beside it.
        var owner = System.IO.Path.Combine(path, "owner");
        FileStream? stream = null;
        IOException? refusal = null;
        SpinWait.SpinUntil(IsTaken, ArenaLock.Patience);
        if (stream is null)
        {
            throw new EngineStartException(
                $"DataDirectory {path} is in use by process {File.ReadAllText(owner).Trim()}. Stop it, or choose another directory.", refusal!);
        }

        File.WriteAllText(owner, $"{Environment.ProcessId}\n");
        return stream;

        bool IsTaken()
        {
            try
            {
                stream = new FileStream(System.IO.Path.Combine(path, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException exception) when (File.Exists(owner))
            {
                refusal = exception;
            }

            return stream is not null;
        }
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

/// <summary>How often a scope was purged; without a model and revision, where scopes begin that are not listed (0 when nothing says so).</summary>
internal sealed record ScopeEpoch(string Tenant, string? Model, string? Revision, uint Epoch);
