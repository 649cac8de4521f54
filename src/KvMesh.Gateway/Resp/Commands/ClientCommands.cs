using System.Globalization;
using System.Text;
using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp.Commands;

/// <summary>CLIENT: names and lists connections. A caller sees those of its own tenant, an administrator all.</summary>
internal static class ClientCommands
{
    public static IReadOnlyList<RespCommand> All { get; } =
    [
        new("client", -2, null)
        {
            Flags = ["noscript", "loading", "stale"],
            Subcommands = Subcommand.Table(
                new("client|setname", 3, SetName),
                new("client|getname", 2, GetName),
                new("client|setinfo", 4, (session, in _) => session.Writer.WriteSimple("OK"u8)),
                new("client|id", 2, (session, in _) => session.Writer.WriteInteger(session.Connection.Id)),
                new("client|info", 2, (session, in _) => WriteText(session, Describe(session) + "\n")),
                new("client|list", -2, List),
                new("client|kill", -3, Kill),
                new("client|no-evict", 3, NoEvict),
                new("client|help", 2, (session, in _) => Subcommand.WriteHelp(
                    session, "CLIENT <subcommand> [<arg> ...]", "GETNAME", "ID", "INFO", "KILL <addr>|ID <id>|ADDR <addr>|USER <user>|SKIPME <yes|no>",
                    "LIST [ID <id> ...|TYPE normal]", "NO-EVICT <on|off>", "SETINFO <lib-name|lib-ver> <value>", "SETNAME <name>"))),
        },
    ];

    /// <summary>False after an error was written.</summary>
    public static bool TrySetName(RespSession session, ReadOnlySpan<byte> name)
    {
        if (name.IndexOfAnyExceptInRange((byte)'!', (byte)'~') >= 0)
        {
            session.Fail(RespErrors.BadClientName);
            return false;
        }

        if (name.Length > Protocol.Limits.MaxKeyBytes)
        {
            session.Fail($"ERR client name of {name.Length} bytes is over the limit of {Protocol.Limits.MaxKeyBytes} bytes");
            return false;
        }

        session.Connection.ClientName = Encoding.Latin1.GetString(name);
        return true;
    }

    private static void SetName(RespSession session, in RespRequest request)
    {
        if (TrySetName(session, request[2]))
        {
            session.Writer.WriteSimple("OK"u8);
        }
    }

    private static void GetName(RespSession session, in RespRequest request)
    {
        if (session.Connection.ClientName.Length == 0)
        {
            session.Writer.WriteNull();
        }
        else
        {
            session.Writer.WriteBulk(session.Connection.ClientName);
        }
    }

    private static void NoEvict(RespSession session, in RespRequest request)
    {
        if (request.Is(2, "ON"u8) || request.Is(2, "OFF"u8))
        {
            session.Writer.WriteSimple("OK"u8);
        }
        else
        {
            session.Fail(RespErrors.Syntax);
        }
    }

    private static void List(RespSession session, in RespRequest request)
    {
        HashSet<long>? ids = null;
        if (request.Count > 3 && request.Is(2, "ID"u8))
        {
            ids = [];
            for (var index = 3; index < request.Count; index++)
            {
                if (!request.TryGetInteger(index, out var id))
                {
                    session.Fail("ERR Invalid client ID");
                    return;
                }

                ids.Add(id);
            }
        }
        else if (request.Count != 2 && !(request.Count == 4 && request.Is(2, "TYPE"u8) && request.Is(3, "normal"u8)))
        {
            session.Fail(RespErrors.Syntax);
            return;
        }

        var text = new StringBuilder();
        foreach (var client in session.Services.Sessions.VisibleTo(session).Where(client => ids is null || ids.Contains(client.Connection.Id)))
        {
            text.Append(Describe(client)).Append('\n');
        }

        WriteText(session, text.ToString());
    }

    private static void Kill(RespSession session, in RespRequest request)
    {
        if (request.Count == 3)
        {
            var address = Encoding.Latin1.GetString(request[2]);
            if (KillMatching(session, client => AddressOf(client) == address, skipsSelf: false) == 0)
            {
                session.Fail(RespErrors.NoSuchClient);
            }
            else
            {
                session.Writer.WriteSimple("OK"u8);
            }

            return;
        }

        if (request.Count % 2 != 0)
        {
            session.Fail(RespErrors.Syntax);
            return;
        }

        var skipsSelf = true;
        var filters = new List<(string Name, string Value)>();
        for (var index = 2; index < request.Count; index += 2)
        {
            var name = Encoding.Latin1.GetString(request[index]).ToUpperInvariant();
            var value = Encoding.Latin1.GetString(request[index + 1]);
            if (name == "SKIPME" && value.ToUpperInvariant() is "YES" or "NO")
            {
                skipsSelf = value.Equals("yes", StringComparison.OrdinalIgnoreCase);
            }
            else if (name == "ID" && (!long.TryParse(value, CultureInfo.InvariantCulture, out var id) || id < 1))
            {
                session.Fail("ERR client-id should be greater than 0");
                return;
            }
            else if (name is "ID" or "ADDR" or "USER")
            {
                filters.Add((name, value));
            }
            else
            {
                session.Fail(RespErrors.Syntax);
                return;
            }
        }

        session.Writer.WriteInteger(KillMatching(session, client => filters.TrueForAll(filter => Is(client, filter.Name, filter.Value)), skipsSelf));
    }

    private static int KillMatching(RespSession session, Func<RespSession, bool> isMeant, bool skipsSelf)
    {
        var killed = 0;
        foreach (var client in session.Services.Sessions.VisibleTo(session).Where(isMeant))
        {
            if (client == session)
            {
                if (skipsSelf)
                {
                    continue;
                }

                client.CloseAfterReply();
            }
            else
            {
                client.Kill();
            }

            killed++;
        }

        return killed;
    }

    private static bool Is(RespSession client, string filter, string value) => filter switch
    {
        "ID" => client.Connection.Id.ToString(CultureInfo.InvariantCulture) == value,
        "ADDR" => AddressOf(client) == value,
        _ => UserOf(client) == value,
    };

    /// <summary>Redis shows address and port; the port of a peer is not kept, and 0 stands for it.</summary>
    private static string AddressOf(RespSession client) => client.Connection.RemoteAddress + ":0";

    private static string UserOf(RespSession client) => client.Connection.TenantName.Length > 0 ? client.Connection.TenantName : "(none)";

    private static string Describe(RespSession client)
    {
        var now = client.Services.UnixMilliseconds;
        return $"id={client.Connection.Id} addr={AddressOf(client)} name={client.Connection.ClientName} age={(now - client.OpenedAt) / 1000}"
            + $" idle={(now - client.LastCommandAt) / 1000} flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 cmd={client.LastCommand?.Name ?? "NULL"}"
            + $" user={UserOf(client)} redir=-1 resp={(client.Writer.IsResp3 ? 3 : 2)}";
    }

    private static void WriteText(RespSession session, string text) => session.Writer.WriteVerbatim(Encoding.Latin1.GetBytes(text));
}
