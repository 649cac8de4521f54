using System.Collections.Immutable;

namespace KvMesh.Cluster.Membership;

/// <summary>What a node says of itself. Immutable: a change is a new record with a higher <see cref="Revision"/>.</summary>
public sealed record NodeRecord
{
    public required NodeId Id { get; init; }

    /// <summary>Number of this run of the node, given by the store when it joined; a later run has a higher one.</summary>
    public long Incarnation { get; init; }

    /// <summary>Grows with every change of the record within one incarnation.</summary>
    public long Revision { get; init; }

    public NodeState State { get; init; } = NodeState.Active;

    /// <summary>Where peers reach the native protocol: host and port.</summary>
    public required string NativeAddress { get; init; }

    /// <summary>Base address of the HTTP door; empty when it is closed.</summary>
    public string HttpAddress { get; init; } = "";

    /// <summary>Host and port of the RESP door; empty when it is closed.</summary>
    public string RespAddress { get; init; } = "";

    /// <summary>Name of the machine: nodes on one machine fail together, and can read each other's memory.</summary>
    public string Machine { get; init; } = "";

    /// <summary>Version of the program, for operators.</summary>
    public string Version { get; init; } = "";

    /// <summary>Lowest and highest version of the mesh protocol that it speaks; two nodes talk in the highest common one.</summary>
    public int MinProtocol { get; init; } = 1;

    public int MaxProtocol { get; init; } = 1;

    public ImmutableArray<TierCapacity> Tiers { get; init; } = [];
}

/// <summary>One tier of a node.</summary>
/// <param name="Name">As in the node's status: host, disk.</param>
public readonly record struct TierCapacity(string Name, long CapacityBytes, long UsedBytes);

/// <summary>Where a node is in its life. Stored and sent: append only.</summary>
public enum NodeState : byte
{
    Active = 1,

    /// <summary>It serves reads, takes no new placements and is being emptied.</summary>
    Draining = 2,

    /// <summary>It stops, and asks nobody to wait for it.</summary>
    Leaving = 3,
}
