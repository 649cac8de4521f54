using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp.Commands;

/// <summary>Commands about when keys go.</summary>
internal static class ExpiryCommands
{
    private const long NoKey = -2;
    private const long NoExpiry = -1;

    public static IReadOnlyList<RespCommand> All { get; } =
    [
        Setter("expire", isSeconds: true, isAbsolute: false),
        Setter("pexpire", isSeconds: false, isAbsolute: false),
        Setter("expireat", isSeconds: true, isAbsolute: true),
        Setter("pexpireat", isSeconds: false, isAbsolute: true),
        Getter("ttl", (expiresAt, now) => (Math.Max(0, expiresAt - now) + 500) / 1000),
        Getter("pttl", (expiresAt, now) => Math.Max(0, expiresAt - now)),
        Getter("expiretime", (expiresAt, _) => (expiresAt + 500) / 1000),
        Getter("pexpiretime", (expiresAt, _) => expiresAt),
        new("persist", 2, Persist) { Rights = AccessRights.Write, FirstKey = 1, LastKey = 1, Flags = ["write", "fast"] },
    ];

    [Flags]
    private enum When
    {
        Always = 0,
        NoExpiry = 1,
        HasExpiry = 2,
        Later = 4,
        Earlier = 8,
    }

    private static RespCommand Setter(string name, bool isSeconds, bool isAbsolute) =>
        new(name, -3, (session, in request) => Expire(session, request, isSeconds, isAbsolute))
        {
            Rights = AccessRights.Write,
            FirstKey = 1,
            LastKey = 1,
            Flags = ["write", "fast"],
        };

    private static RespCommand Getter(string name, Func<long, long, long> answer) =>
        new(name, 2, (session, in request) => WriteExpiry(session, request, answer))
        {
            Rights = AccessRights.Read,
            FirstKey = 1,
            LastKey = 1,
            Flags = ["readonly", "fast"],
        };

    private static void WriteExpiry(RespSession session, in RespRequest request, Func<long, long, long> answer) =>
        session.Writer.WriteInteger(
            !session.Services.Engine.TryInspect(session.Tenant, request[1], out var info) ? NoKey
            : info.ExpiresAt == 0 ? NoExpiry
            : answer(info.ExpiresAt, session.Services.UnixMilliseconds));

    private static void Expire(RespSession session, in RespRequest request, bool isSeconds, bool isAbsolute)
    {
        if (!TryParseWhen(session, request, out var when) || !TryParseMoment(session, request, isSeconds, isAbsolute, out var expiresAt))
        {
            return;
        }

        lock (session.Services.Locks.Of(request[1]))
        {
            session.Writer.WriteInteger(Apply(session, request[1], when, expiresAt) ? 1 : 0);
        }
    }

    private static bool Apply(RespSession session, ReadOnlySpan<byte> key, When when, long expiresAt)
    {
        if (!session.Services.Engine.TryInspect(session.Tenant, key, out var info) || !Holds(when, info, expiresAt))
        {
            return false;
        }

        return expiresAt <= session.Services.UnixMilliseconds
            ? session.Remove(key)
            : session.Services.Engine.SetExpiry(session.Tenant, key, expiresAt);
    }

    /// <summary>A key without expiry counts as one that goes after every other.</summary>
    private static bool Holds(When when, in BlockInfo info, long expiresAt)
    {
        var hasExpiry = info.ExpiresAt != 0;
        return !(when.HasFlag(When.NoExpiry) && hasExpiry)
            && !(when.HasFlag(When.HasExpiry) && !hasExpiry)
            && !(when.HasFlag(When.Later) && (!hasExpiry || expiresAt <= info.ExpiresAt))
            && !(when.HasFlag(When.Earlier) && hasExpiry && expiresAt >= info.ExpiresAt);
    }

    private static bool TryParseWhen(RespSession session, in RespRequest request, out When when)
    {
        when = When.Always;
        for (var index = 3; index < request.Count; index++)
        {
            var word = request.Is(index, "NX"u8) ? When.NoExpiry
                : request.Is(index, "XX"u8) ? When.HasExpiry
                : request.Is(index, "GT"u8) ? When.Later
                : request.Is(index, "LT"u8) ? When.Earlier
                : When.Always;
            if (word == When.Always)
            {
                session.Fail($"ERR Unsupported option {Encoding.Latin1.GetString(request[index])}");
                return false;
            }

            when |= word;
        }

        if (when.HasFlag(When.NoExpiry) && when != When.NoExpiry)
        {
            session.Fail("ERR NX and XX, GT or LT options at the same time are not compatible");
            return false;
        }

        if (when.HasFlag(When.Later | When.Earlier))
        {
            session.Fail("ERR GT and LT options at the same time are not compatible");
            return false;
        }

        return true;
    }

    /// <summary>The moment in Unix milliseconds; it may have passed. False after an error was written.</summary>
    private static bool TryParseMoment(RespSession session, in RespRequest request, bool isSeconds, bool isAbsolute, out long moment)
    {
        if (!request.TryGetInteger(2, out moment))
        {
            session.Fail(RespErrors.NotAnInteger);
            return false;
        }

        var now = isAbsolute ? 0 : session.Services.UnixMilliseconds;
        if (isSeconds && moment is > (long.MaxValue / 1000) or < (long.MinValue / 1000))
        {
            session.Fail(RespErrors.ExpireTime(session.LastCommand!));
            return false;
        }

        moment *= isSeconds ? 1000 : 1;
        if (moment > long.MaxValue - now)
        {
            session.Fail(RespErrors.ExpireTime(session.LastCommand!));
            return false;
        }

        moment += now;
        return true;
    }

    private static void Persist(RespSession session, in RespRequest request)
    {
        lock (session.Services.Locks.Of(request[1]))
        {
            var changed = session.Services.Engine.TryInspect(session.Tenant, request[1], out var info)
                && info.ExpiresAt != 0
                && session.Services.Engine.SetExpiry(session.Tenant, request[1], 0);
            session.Writer.WriteInteger(changed ? 1 : 0);
        }
    }
}
