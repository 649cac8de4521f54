using KvMesh.Engine.Blocks;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp.Commands;

/// <summary>Commands that read values.</summary>
internal static class StringCommands
{
    public static IReadOnlyList<RespCommand> All { get; } =
    [
        new("get", 2, Get)
        {
            Rights = AccessRights.Read, FirstKey = 1, LastKey = 1, Flags = ["readonly", "fast"], StrictArguments = 2, StrictReply = "$-1\r\n"u8.ToArray(),
        },
        new("mget", -2, GetMany) { Rights = AccessRights.Read, FirstKey = 1, LastKey = -1, Flags = ["readonly", "fast"] },
        new("strlen", 2, Length) { Rights = AccessRights.Read, FirstKey = 1, LastKey = 1, Flags = ["readonly", "fast"] },
        new("getrange", 4, GetRange) { Rights = AccessRights.Read, FirstKey = 1, LastKey = 1, Flags = ["readonly"] },
        new("substr", 4, GetRange) { Rights = AccessRights.Read, FirstKey = 1, LastKey = 1, Flags = ["readonly"] },
        new("getdel", 2, GetAndRemove)
        {
            Rights = AccessRights.Read | AccessRights.Remove, FirstKey = 1, LastKey = 1, Flags = ["write", "fast"],
        },
        new("getex", -2, GetAndExpire)
        {
            Rights = AccessRights.Read | AccessRights.Write, FirstKey = 1, LastKey = 1, Flags = ["write", "fast"],
        },
    ];

    private static void Get(RespSession session, in RespRequest request)
    {
        if (session.TryOpen(request[1], out var read))
        {
            session.WriteAndClose(read);
        }
        else
        {
            session.Writer.WriteNull();
        }
    }

    private static void GetMany(RespSession session, in RespRequest request)
    {
        session.Writer.WriteArray(request.Count - 1);
        for (var index = 1; index < request.Count; index++)
        {
            session.WriteAndClose(session.OpenForReply(request[index]));
        }
    }

    private static void Length(RespSession session, in RespRequest request) =>
        session.Writer.WriteInteger(session.Services.Engine.TryInspect(session.Tenant, request[1], out var info) ? info.PayloadBytes : 0);

    private static void GetRange(RespSession session, in RespRequest request)
    {
        if (!request.TryGetInteger(2, out var first) || !request.TryGetInteger(3, out var last))
        {
            session.Fail(RespErrors.NotAnInteger);
            return;
        }

        if (!session.TryOpen(request[1], out var read))
        {
            session.Writer.WriteBulk(default(ReadOnlySpan<byte>));
            return;
        }

        using (read)
        {
            session.Writer.WriteBulk(Slice(read.Payload, first, last));
        }
    }

    private static ReadOnlySpan<byte> Slice(ReadOnlySpan<byte> value, long first, long last)
    {
        if (first < 0 && last < 0 && first > last)
        {
            return default;
        }

        first = Math.Max(0, first < 0 ? first + value.Length : first);
        last = Math.Max(0, last < 0 ? last + value.Length : last);
        last = Math.Min(last, value.Length - 1);
        return first > last || value.IsEmpty ? default : value.Slice((int)first, (int)(last - first + 1));
    }

    private static void GetAndRemove(RespSession session, in RespRequest request)
    {
        BlockRead? read;
        lock (session.Services.Locks.Of(request[1]))
        {
            read = session.OpenForReply(request[1]);
            if (read is not null)
            {
                session.Remove(request[1]);
            }
        }

        session.WriteAndClose(read);
    }

    private static void GetAndExpire(RespSession session, in RespRequest request)
    {
        if (!ExtendedOptions.TryParse(request, 2, isSet: false, out var options))
        {
            session.Fail(RespErrors.Syntax);
            return;
        }

        BlockRead? read;
        lock (session.Services.Locks.Of(request[1]))
        {
            read = session.OpenForReply(request[1]);
            if (read is { } open && !ApplyExpiry(session, request, options))
            {
                open.Dispose();
                return;
            }
        }

        session.WriteAndClose(read);
    }

    /// <summary>False after an error was written.</summary>
    private static bool ApplyExpiry(RespSession session, in RespRequest request, in ExtendedOptions options)
    {
        if (!options.TryResolveExpiry(session, request, out var expiresAt))
        {
            return false;
        }

        if (options.IsAbsolute && expiresAt <= session.Services.UnixMilliseconds)
        {
            session.Remove(request[1]);
        }
        else if (options.HasExpiry || options.Persists)
        {
            session.Services.Engine.SetExpiry(session.Tenant, request[1], expiresAt);
        }

        return true;
    }
}
