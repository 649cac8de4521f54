namespace KvMesh.Gateway.Resp.Commands;

/// <summary>What containers such as CONFIG have in common.</summary>
internal static class Subcommand
{
    public static IReadOnlyDictionary<string, RespCommand> Table(params RespCommand[] commands) =>
        commands.ToDictionary(command => command.Name[(command.Name.IndexOf('|') + 1)..], StringComparer.OrdinalIgnoreCase);

    public static void WriteHelp(RespSession session, string usage, params string[] lines)
    {
        session.Writer.WriteArray(lines.Length + 2);
        WriteLine(session, usage + ". Subcommands are:");
        foreach (var line in lines)
        {
            WriteLine(session, line);
        }

        WriteLine(session, "HELP");
    }

    private static void WriteLine(RespSession session, string line) => session.Writer.WriteSimple(System.Text.Encoding.ASCII.GetBytes(line));
}
