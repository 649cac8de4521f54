using System.Text;
using KvMesh.Engine.Telemetry;
using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp.Commands;

/// <summary>CONFIG: what clients and tools ask of a Redis server, answered truthfully. Options are set where the node is started.</summary>
internal static class ConfigCommands
{
    /// <summary>What an operator of Redis would call our retention.</summary>
    public const string EvictionPolicy = "allkeys-lru";

    private static readonly (string Name, Func<RespSession, string> Value)[] Parameters =
    [
        ("appendonly", _ => "no"),
        ("databases", _ => "1"),
        ("maxclients", _ => "10000"),
        ("maxmemory", session => Figures(session).HostShareBytes.ToString()),
        ("maxmemory-policy", _ => EvictionPolicy),
        ("proto-max-bulk-len", session => session.Services.MaxBlockBytes.ToString()),
        ("save", _ => ""),
        ("slave-read-only", _ => "yes"),
        ("replica-read-only", _ => "yes"),
        ("timeout", _ => "0"),
    ];

    public static IReadOnlyList<RespCommand> All { get; } =
    [
        new("config", -2, null)
        {
            Subcommands = Subcommand.Table(
                new("config|get", -3, Get) { Flags = ["admin", "noscript", "loading", "stale"] },
                new("config|set", -4, Set) { Flags = ["admin", "noscript", "loading", "stale"] },
                new("config|help", 2, (session, in _) => Subcommand.WriteHelp(session, "CONFIG <subcommand> [<arg>]", "GET <pattern>"))),
        },
    ];

    private static void Get(RespSession session, in RespRequest request)
    {
        var found = new List<(string Name, Func<RespSession, string> Value)>();
        foreach (var parameter in Parameters)
        {
            var name = Encoding.ASCII.GetBytes(parameter.Name);
            for (var index = 2; index < request.Count; index++)
            {
                if (GlobPattern.Matches(Encoding.ASCII.GetBytes(Encoding.Latin1.GetString(request[index]).ToLowerInvariant()), name))
                {
                    found.Add(parameter);
                    break;
                }
            }
        }

        session.Writer.WriteMap(found.Count);
        foreach (var (name, value) in found)
        {
            session.Writer.WriteBulk(name);
            session.Writer.WriteBulk(value(session));
        }
    }

    private static void Set(RespSession session, in RespRequest request) =>
        session.Fail("ERR CONFIG SET is not available: options of the node are set where it is started");

    private static TenantSnapshot Figures(RespSession session) => TenantFigures.Of(session);
}
