using System.Text;
using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp.Commands;

/// <summary>Commands about the connection itself.</summary>
internal static class ConnectionCommands
{
    /// <summary>The dialect that HELLO and INFO name: clients choose commands by it.</summary>
    public const string RedisVersion = "7.0.15";

    /// <summary>Redis' name for the user of connections without one.</summary>
    private static ReadOnlySpan<byte> DefaultUser => "default"u8;

    public static IReadOnlyList<RespCommand> All { get; } =
    [
        new("ping", -1, Ping) { Flags = ["fast"] },
        new("echo", 2, Echo) { Flags = ["fast"] },
        new("quit", -1, Quit) { IsOpen = true, Flags = ["noscript", "loading", "stale", "fast", "no_auth", "allow_busy"] },
        new("select", 2, Select) { Flags = ["loading", "stale", "fast"] },
        new("auth", -2, Authenticate) { IsOpen = true, StrictArguments = RespCommand.AnyCount, Flags = ["noscript", "loading", "stale", "fast", "no_auth", "allow_busy"] },
        new("hello", -1, Hello) { IsOpen = true, Flags = ["noscript", "loading", "stale", "fast", "no_auth", "allow_busy"] },
        new("reset", 1, Reset) { IsOpen = true, Flags = ["noscript", "loading", "stale", "fast", "no_auth", "allow_busy"] },

        // What a browser sends first when it is made to post to this port: nothing behind it may run as a command.
        new("post", -1, Hang) { IsOpen = true, Flags = ["loading", "stale", "readonly"] },
        new("host:", -1, Hang) { IsOpen = true, Flags = ["loading", "stale", "readonly"] },
    ];

    private static void Ping(RespSession session, in RespRequest request)
    {
        if (request.Count > 2)
        {
            session.Fail(RespErrors.Arity(session.LastCommand!));
        }
        else if (request.Count == 2)
        {
            session.Writer.WriteBulk(request[1]);
        }
        else
        {
            session.Writer.WriteSimple("PONG"u8);
        }
    }

    private static void Echo(RespSession session, in RespRequest request) => session.Writer.WriteBulk(request[1]);

    private static void Quit(RespSession session, in RespRequest request)
    {
        session.Writer.WriteSimple("OK"u8);
        session.CloseAfterReply();
    }

    private static void Hang(RespSession session, in RespRequest request) => session.CloseAfterReply();

    private static void Select(RespSession session, in RespRequest request)
    {
        if (!request.TryGetInteger(1, out var database))
        {
            session.Fail(RespErrors.NotAnInteger);
        }
        else if (database is < int.MinValue or > int.MaxValue)
        {
            session.Fail($"ERR value is out of range, value must between {int.MinValue} and {int.MaxValue}");
        }
        else if (database != 0)
        {
            session.Fail(RespErrors.BadDatabase);
        }
        else
        {
            session.Writer.WriteSimple("OK"u8);
        }
    }

    private static void Authenticate(RespSession session, in RespRequest request)
    {
        if (request.Count > 3)
        {
            session.Fail(RespErrors.Syntax);
        }
        else if (request.Count == 2 && !session.Services.Access.IsRequired)
        {
            session.Fail(RespErrors.NoPassword);
        }
        else if (request.Count == 2 ? TryAuthenticate(session, default, request[1]) : TryAuthenticate(session, request[1], request[2]))
        {
            session.Writer.WriteSimple("OK"u8);
        }
        else
        {
            session.Fail(RespErrors.WrongPassword);
        }
    }

    /// <summary>The user is the tenant. A node without credentials lets its default user in with any password, as Redis does.</summary>
    private static bool TryAuthenticate(RespSession session, ReadOnlySpan<byte> user, ReadOnlySpan<byte> password)
    {
        var caller = session.Services.Access.IsRequired
            ? session.Services.Access.Authenticate(user, password)
            : user.SequenceEqual(DefaultUser) ? session.Services.Access.Anonymous : null;
        if (caller is not null)
        {
            session.SetCaller(caller);
        }

        return caller is not null;
    }

    private static void Hello(RespSession session, in RespRequest request)
    {
        long version = session.Writer.IsResp3 ? 3 : 2;
        if (request.Count > 1 && !request.TryGetInteger(1, out version))
        {
            session.Fail("ERR Protocol version is not an integer or out of range");
            return;
        }

        if (version is not (2 or 3))
        {
            session.Fail("NOPROTO unsupported protocol version");
            return;
        }

        if (!TakeHelloOptions(session, request))
        {
            return;
        }

        if (session.Caller is null)
        {
            session.Fail(RespErrors.HelloNoAuth);
            return;
        }

        session.Writer.IsResp3 = version == 3;
        WriteHello(session, version);
    }

    /// <summary>False after an error was written.</summary>
    private static bool TakeHelloOptions(RespSession session, in RespRequest request)
    {
        for (var index = 2; index < request.Count; index++)
        {
            var more = request.Count - 1 - index;
            if (request.Is(index, "AUTH"u8) && more >= 2)
            {
                if (!TryAuthenticate(session, request[index + 1], request[index + 2]))
                {
                    session.Fail(RespErrors.WrongPassword);
                    return false;
                }

                index += 2;
            }
            else if (request.Is(index, "SETNAME"u8) && more >= 1)
            {
                if (!ClientCommands.TrySetName(session, request[++index]))
                {
                    return false;
                }
            }
            else
            {
                session.Fail($"ERR Syntax error in HELLO option '{Encoding.Latin1.GetString(request[index])}'");
                return false;
            }
        }

        return true;
    }

    private static void WriteHello(RespSession session, long version)
    {
        var writer = session.Writer;
        writer.WriteMap(7);
        writer.WriteBulk("server"u8);
        writer.WriteBulk("redis"u8);
        writer.WriteBulk("version"u8);
        writer.WriteBulk(RedisVersion);
        writer.WriteBulk("proto"u8);
        writer.WriteInteger(version);
        writer.WriteBulk("id"u8);
        writer.WriteInteger(session.Connection.Id);
        writer.WriteBulk("mode"u8);
        writer.WriteBulk("standalone"u8);
        writer.WriteBulk("role"u8);
        writer.WriteBulk("master"u8);
        writer.WriteBulk("modules"u8);
        writer.WriteArray(0);
    }

    private static void Reset(RespSession session, in RespRequest request)
    {
        session.Writer.IsResp3 = false;
        session.Connection.ClientName = "";
        session.ResetCaller();
        session.Writer.WriteSimple("RESET"u8);
    }
}
