using KvMesh.Engine.Blocks;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp.Commands;

/// <summary>Commands about keys.</summary>
internal static class KeyCommands
{
    /// <summary>Longest string that Redis embeds in its object header, and longest text of a number.</summary>
    private const int EmbeddedBytes = 44;

    /// <summary>What a block costs beside its payload and key: descriptor and index.</summary>
    private const int BlockOverheadBytes = 160;

    public static IReadOnlyList<RespCommand> All { get; } =
    [
        new("exists", -2, Exists)
        {
            Rights = AccessRights.Read, FirstKey = 1, LastKey = -1, Flags = ["readonly", "fast"], StrictArguments = 2, StrictReply = ":0\r\n"u8.ToArray(),
        },
        new("touch", -2, Exists) { Rights = AccessRights.Read, FirstKey = 1, LastKey = -1, Flags = ["readonly", "fast"] },
        new("del", -2, Remove)
        {
            Rights = AccessRights.Remove, FirstKey = 1, LastKey = -1, Flags = ["write"], StrictArguments = 2, StrictReply = ":0\r\n"u8.ToArray(),
        },
        new("unlink", -2, Remove) { Rights = AccessRights.Remove, FirstKey = 1, LastKey = -1, Flags = ["write", "fast"] },
        new("type", 2, Type) { Rights = AccessRights.Read, FirstKey = 1, LastKey = 1, Flags = ["readonly", "fast"] },
        new("object", -2, null)
        {
            Subcommands = Subcommand.Table(
                new("object|encoding", 3, Encoding) { Rights = AccessRights.Read, FirstKey = 2, LastKey = 2, Flags = ["readonly"] },
                new("object|help", 2, (session, in _) => Subcommand.WriteHelp(session, "OBJECT <subcommand> <key>", "ENCODING <key>"))),
        },
        new("memory", -2, null)
        {
            Subcommands = Subcommand.Table(
                new("memory|usage", -3, MemoryUsage) { Rights = AccessRights.Read, FirstKey = 2, LastKey = 2, Flags = ["readonly"] },
                new("memory|help", 2, (session, in _) => Subcommand.WriteHelp(session, "MEMORY <subcommand> <key>", "USAGE <key> [SAMPLES <count>]"))),
        },
    ];

    private static void Exists(RespSession session, in RespRequest request)
    {
        var count = 0;
        for (var index = 1; index < request.Count; index++)
        {
            count += session.Probe(request[index]) ? 1 : 0;
        }

        session.Writer.WriteInteger(count);
    }

    private static void Remove(RespSession session, in RespRequest request)
    {
        var count = 0;
        for (var index = 1; index < request.Count; index++)
        {
            count += session.Remove(request[index]) ? 1 : 0;
        }

        session.Writer.WriteInteger(count);
    }

    private static void Type(RespSession session, in RespRequest request) =>
        session.Writer.WriteSimple(session.Services.Engine.TryInspect(session.Tenant, request[1], out _) ? "string"u8 : "none"u8);

    private static void Encoding(RespSession session, in RespRequest request)
    {
        if (!session.Services.Engine.TryRead(session.Tenant, request[2], ReadIntent.Inspect, out var read, session.Tenant.LosslessReads))
        {
            session.Writer.WriteNull();
            return;
        }

        using (read)
        {
            var value = read.Payload;
            session.Writer.WriteBulk(RespInteger.TryParse(value, out _) ? "int"u8 : value.Length <= EmbeddedBytes ? "embstr"u8 : "raw"u8);
        }
    }

    private static void MemoryUsage(RespSession session, in RespRequest request)
    {
        if (request.Count > 3 && !(request.Count == 5 && request.Is(3, "SAMPLES"u8)))
        {
            session.Fail(RespErrors.Syntax);
        }
        else if (request.Count == 5 && (!request.TryGetInteger(4, out var samples) || samples < 0))
        {
            session.Fail(request.TryGetInteger(4, out _) ? RespErrors.Syntax : RespErrors.NotAnInteger);
        }
        else if (session.Services.Engine.TryInspect(session.Tenant, request[2], out var info))
        {
            session.Writer.WriteInteger(info.PayloadBytes + request[2].Length + BlockOverheadBytes);
        }
        else
        {
            session.Writer.WriteNull();
        }
    }
}
