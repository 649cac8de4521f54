using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace KvMesh.Dashboard.Access;

/// <summary>
/// Viewers that gave a token. The browser holds a random name of the session under a signature; the token stays in this process,
/// whose signing key dies with it.
/// </summary>
internal sealed class Sessions(DashboardOptions options, TimeProvider time)
{
    public const string CookieName = "kvmesh-dashboard";

    /// <summary>More than the pages that can be open; beyond it the session nearest its end goes.</summary>
    public const int MaxSessions = 256;

    private const int NameBytes = 16;

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly Lock _lock = new();
    private readonly Dictionary<Guid, Session> _sessions = [];

    /// <summary>Begins a session and gives the value of its cookie.</summary>
    public string Begin(string token)
    {
        Span<byte> value = stackalloc byte[NameBytes + HMACSHA256.HashSizeInBytes];
        RandomNumberGenerator.Fill(value[..NameBytes]);
        HMACSHA256.HashData(_key, value[..NameBytes], value[NameBytes..]);
        lock (_lock)
        {
            Trim_NeedsLock();
            _sessions[new Guid(value[..NameBytes])] = new Session(token, time.GetUtcNow() + options.SessionLifetime);
        }

        return Base64Url.EncodeToString(value);
    }

    /// <summary>The token behind a cookie that this process signed and that has not run out.</summary>
    public bool TryFind(string? cookie, [NotNullWhen(true)] out string? token)
    {
        token = null;
        if (!TryReadName(cookie, out var name))
        {
            return false;
        }

        lock (_lock)
        {
            if (_sessions.TryGetValue(name, out var session) && session.EndsAt > time.GetUtcNow())
            {
                token = session.Token;
            }
        }

        return token is not null;
    }

    public void End(string? cookie)
    {
        if (TryReadName(cookie, out var name))
        {
            lock (_lock)
            {
                _sessions.Remove(name);
            }
        }
    }

    private bool TryReadName(string? cookie, out Guid name)
    {
        name = default;
        Span<byte> value = stackalloc byte[NameBytes + HMACSHA256.HashSizeInBytes];
        if (cookie is null || !Base64Url.IsValid(cookie, out var length) || length != value.Length)
        {
            return false;
        }

        Base64Url.DecodeFromChars(cookie, value);
        Span<byte> signature = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(_key, value[..NameBytes], signature);
        if (!CryptographicOperations.FixedTimeEquals(signature, value[NameBytes..]))
        {
            return false;
        }

        name = new Guid(value[..NameBytes]);
        return true;
    }

    private void Trim_NeedsLock()
    {
        var now = time.GetUtcNow();
        foreach (var (name, _) in _sessions.Where(pair => pair.Value.EndsAt <= now).ToList())
        {
            _sessions.Remove(name);
        }

        if (_sessions.Count >= MaxSessions)
        {
            _sessions.Remove(_sessions.MinBy(pair => pair.Value.EndsAt).Key);
        }
    }

    private sealed record Session(string Token, DateTimeOffset EndsAt);
}
