using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp.Commands;

/// <summary>What Redis answers when it is not a cluster.</summary>
internal static class ClusterCommands
{
    private static readonly (string Name, int Arity)[] Known =
    [
        ("addslots", -3), ("countkeysinslot", 3), ("getkeysinslot", 4), ("info", 2), ("keyslot", 3), ("links", 2), ("meet", -4), ("myid", 2), ("nodes", 2),
        ("replicas", 3), ("shards", 2), ("slaves", 3), ("slots", 2),
    ];

    public static IReadOnlyList<RespCommand> All { get; } =
    [
        new("cluster", -2, null)
        {
            Subcommands = Subcommand.Table([.. Known.Select(known => new RespCommand("cluster|" + known.Name, known.Arity, Refuse))]),
        },
        new("readonly", 1, Refuse) { Flags = ["loading", "stale", "fast"] },
        new("readwrite", 1, Refuse) { Flags = ["loading", "stale", "fast"] },
        new("asking", 1, Refuse) { Flags = ["fast"] },
    ];

    private static void Refuse(RespSession session, in RespRequest request) => session.Fail(RespErrors.ClusterDisabled);
}
