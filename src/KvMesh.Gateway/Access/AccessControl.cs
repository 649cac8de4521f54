using System.Security.Cryptography;
using System.Text;
using KvMesh.Engine.Blocks;
using Microsoft.Extensions.Logging;

namespace KvMesh.Gateway.Access;

/// <summary>
/// Maps credentials to tenants, on every door. Comparisons take the same time whatever differs: each entry is compared,
/// by hashes of one length, and none ends the search. The set of entries is immutable and swapped as a whole.
/// </summary>
public sealed partial class AccessControl : IDisposable
{
    private const AccessRights PeerRights = AccessRights.Read | AccessRights.Write | AccessRights.Peer;
    private static readonly TimeSpan ReloadInterval = TimeSpan.FromSeconds(2);

    private readonly TenantTable _tenants;
    private readonly ILogger _logger;
    private readonly string? _path;
    private readonly Lock _reloadLock = new();
    private readonly ITimer? _reloadTimer;
    private FileStamp _stamp;
    private volatile IReadOnlyList<TokenEntry> _entries;

    /// <summary>Access without credentials: every caller is tenant <c>default</c> with all rights.</summary>
    public AccessControl(TenantTable tenants, ILoggerFactory loggers)
        : this(tenants, default, [], null, TimeProvider.System, loggers)
    {
    }

    /// <summary>Access by the tokens of a file, which is read again when it changes.</summary>
    /// <exception cref="TokenFileException">The file is wrong, or names a tenant that the node does not have.</exception>
    public AccessControl(TenantTable tenants, string tokenFile, TimeProvider time, ILoggerFactory loggers)
        : this(tenants, FileStamp.Of(tokenFile), TokenFile.Read(tokenFile), tokenFile, time, loggers)
    {
    }

    /// <param name="stamp">Of the file before it was read: what changes meanwhile is read again.</param>
    private AccessControl(TenantTable tenants, FileStamp stamp, IReadOnlyList<TokenEntry> entries, string? path, TimeProvider time, ILoggerFactory loggers)
    {
        _tenants = tenants;
        _logger = loggers.CreateLogger<AccessControl>();
        _entries = entries;
        _path = path;
        ThrowIfUnknownTenant(entries);
        if (path is not null)
        {
            _stamp = stamp;
            WarnIfOpenToOthers(path);
            _reloadTimer = time.CreateTimer(_ => ReloadIfChanged(), null, ReloadInterval, ReloadInterval);
        }
        else
        {
            Anonymous = new Caller(_tenants.Find(Tenant.DefaultName)!, AccessRights.All | AccessRights.Peer);
        }
    }

    /// <summary>Whether a token was made by another node of the cluster for this one. Set before the first caller comes; null: none is.</summary>
    public Func<ReadOnlySpan<byte>, bool>? AdmitsPeer { get; set; }

    /// <summary>Whether a connection must authenticate before anything else.</summary>
    public bool IsRequired => _path is not null;

    /// <summary>The caller behind connections without a credential, or null when a credential is required.</summary>
    public Caller? Anonymous { get; }

    /// <summary>
    /// The caller with that tenant name and token, or null. An empty name stands for the tenant that the token belongs to; another node
    /// belongs to all of them.
    /// </summary>
    public Caller? Authenticate(ReadOnlySpan<byte> tenantName, ReadOnlySpan<byte> token)
    {
        Span<byte> tokenHash = stackalloc byte[SHA256.HashSizeInBytes];
        Span<byte> tenantHash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(token, tokenHash);
        SHA256.HashData(tenantName, tenantHash);
        var entries = _entries;
        var index = Find(entries, tokenHash, tenantHash, tenantName.IsEmpty);
        if (index >= 0)
        {
            var entry = entries[index];
            return CallerOf(entry.Rights.HasFlag(AccessRights.Peer) && !tenantName.IsEmpty ? Encoding.UTF8.GetString(tenantName) : entry.Tenant, entry.Rights, entry.Name);
        }

        if (AdmitsPeer?.Invoke(token) != true)
        {
            return null;
        }

        // A peer that names no tenant asks about the node; whose caller it is then does not matter.
        var named = tenantName.IsEmpty ? _tenants.Find(Tenant.DefaultName) ?? _tenants.All[0] : _tenants.Find(Encoding.UTF8.GetString(tenantName));
        return named is null ? null : new Caller(named, PeerRights);
    }

    /// <summary>
    /// The caller without a credential, or null when one is required. Where none is, another node names the tenant that it acts for; one
    /// that this node does not have is no caller.
    /// </summary>
    public Caller? AuthenticateAnonymous(ReadOnlySpan<byte> tenantName) =>
        tenantName.IsEmpty || Anonymous is null ? Anonymous : CallerOf(Encoding.UTF8.GetString(tenantName), Anonymous.Rights, "");

    /// <summary>Reads the token file again when it is not the one that was read last. A wrong file changes nothing.</summary>
    public void ReloadIfChanged()
    {
        if (_path is null)
        {
            return;
        }

        lock (_reloadLock)
        {
            var stamp = FileStamp.Of(_path);
            if (stamp == _stamp)
            {
                return;
            }

            _stamp = stamp;
            try
            {
                var entries = TokenFile.Read(_path);
                ThrowIfUnknownTenant(entries);
                _entries = entries;
                LogReloaded(_path, entries.Count);
                WarnIfOpenToOthers(_path);
            }
            catch (Exception exception) when (exception is TokenFileException or IOException or UnauthorizedAccessException)
            {
                LogReloadRefused(_path, exception.Message);
            }
        }
    }

    public void Dispose() => _reloadTimer?.Dispose();

    /// <summary>Index of the entry with both hashes, or -1. Visits every entry, and no branch depends on what it compares.</summary>
    internal static int Find(
        IReadOnlyList<TokenEntry> entries, ReadOnlySpan<byte> tokenHash, ReadOnlySpan<byte> tenantHash, bool anyTenant)
    {
        var found = -1;
        for (var i = 0; i < entries.Count; i++)
        {
            var entry = entries[i];
            var matches = CryptographicOperations.FixedTimeEquals(entry.Hash, tokenHash)
                & (CryptographicOperations.FixedTimeEquals(entry.TenantHash, tenantHash) | anyTenant | entry.Rights.HasFlag(AccessRights.Peer));
            var mask = -Convert.ToInt32(matches);
            found = (i & mask) | (found & ~mask);
        }

        return found;
    }

    private Caller? CallerOf(string tenantName, AccessRights rights, string name) =>
        _tenants.Find(tenantName) is { } tenant ? new Caller(tenant, rights) { Name = name } : null;

    private void ThrowIfUnknownTenant(IReadOnlyList<TokenEntry> entries)
    {
        var unknown = entries.Select(entry => entry.Tenant).Distinct().Where(name => _tenants.Find(name) is null).ToList();
        if (unknown.Count > 0)
        {
            throw new TokenFileException(
                $"{_path} names tenants that this node does not have: {string.Join(", ", unknown)}. A new tenant needs a restart.");
        }
    }

    private void WarnIfOpenToOthers(string path)
    {
        if (TokenFile.IsOpenToOthers(path))
        {
            LogOpenToOthers(path);
        }
    }

    [LoggerMessage(10, LogLevel.Information, "Token file {Path} was read again: {Count} tokens.")]
    private partial void LogReloaded(string path, int count);

    [LoggerMessage(11, LogLevel.Error, "Token file {Path} was not taken over, the earlier tokens stay valid: {Reason}")]
    private partial void LogReloadRefused(string path, string reason);

    [LoggerMessage(12, LogLevel.Warning, "Token file {Path} is open to other users of this machine; give it mode 600.")]
    private partial void LogOpenToOthers(string path);

    /// <summary>What tells two states of a file apart without reading it.</summary>
    private readonly record struct FileStamp(DateTime WrittenAt, long Bytes)
    {
        public static FileStamp Of(string path)
        {
            var info = new FileInfo(path);
            return info.Exists ? new FileStamp(info.LastWriteTimeUtc, info.Length) : default;
        }
    }
}
