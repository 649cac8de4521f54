using System.Text;
using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp.Commands;

/// <summary>COMMAND: the table itself, for clients that learn from it where keys are.</summary>
internal static class CommandCommands
{
    public static IReadOnlyList<RespCommand> All { get; } =
    [
        new("command", -1, (session, in _) => WriteAll(session))
        {
            Flags = ["loading", "stale"],
            Subcommands = Subcommand.Table(
                new("command|count", 2, (session, in _) => session.Writer.WriteInteger(session.Services.Commands.Count)),
                new("command|docs", -2, (session, in _) => session.Writer.WriteMap(0)),
                new("command|info", -2, Info),
                new("command|list", 2, List),
                new("command|help", 2, (session, in _) => Subcommand.WriteHelp(
                    session, "COMMAND <subcommand> [<arg> ...]", "(no subcommand)", "COUNT", "DOCS [<command-name> ...]", "INFO [<command-name> ...]", "LIST"))),
        },
    ];

    private static void WriteAll(RespSession session)
    {
        var commands = session.Services.Commands;
        session.Writer.WriteArray(commands.Count);
        foreach (var command in commands.All)
        {
            Write(session.Writer, command);
        }
    }

    private static void Info(RespSession session, in RespRequest request)
    {
        if (request.Count == 2)
        {
            WriteAll(session);
            return;
        }

        session.Writer.WriteArray(request.Count - 2);
        for (var index = 2; index < request.Count; index++)
        {
            if (session.Services.Commands.Find(request[index]) is { } command)
            {
                Write(session.Writer, command);
            }
            else
            {
                session.Writer.WriteNull();
            }
        }
    }

    private static void List(RespSession session, in RespRequest request)
    {
        session.Writer.WriteArray(session.Services.Commands.Count);
        foreach (var command in session.Services.Commands.All)
        {
            session.Writer.WriteBulk(command.NameBytes);
        }
    }

    /// <summary>Name, arity, flags, keys; categories, tips and key specifications are left empty, subcommands are listed.</summary>
    private static void Write(RespWriter writer, RespCommand command)
    {
        writer.WriteArray(10);
        writer.WriteBulk(command.Name);
        writer.WriteInteger(command.Arity);
        writer.WriteSet(command.Flags.Length);
        foreach (var flag in command.Flags)
        {
            writer.WriteSimple(Encoding.ASCII.GetBytes(flag));
        }

        writer.WriteInteger(command.FirstKey);
        writer.WriteInteger(command.LastKey);
        writer.WriteInteger(command.FirstKey > 0 ? command.KeyStep : 0);
        writer.WriteSet(0);
        writer.WriteArray(0);
        writer.WriteArray(0);
        writer.WriteArray(command.Subcommands.Count);
        foreach (var subcommand in command.Subcommands.Values)
        {
            Write(writer, subcommand);
        }
    }
}
