using System.Net;

namespace KvMesh.Orleans.Hosting;

/// <summary>What a silo in a node is told.</summary>
public sealed record OrleansSiloOptions
{
    /// <summary>Name of the cluster: silos of one name on one Redis are one.</summary>
    public required string Cluster { get; init; }

    /// <summary>Redis where the silos meet, as its client's configuration.</summary>
    public required string Redis { get; init; }

    /// <summary>Address under which other silos reach this one.</summary>
    public required IPAddress Address { get; init; }

    /// <summary>Port of the silo for other silos.</summary>
    public required int Port { get; init; }

    /// <summary>Port for clients of the cluster that are no silos. 0: none.</summary>
    public int GatewayPort { get; init; }

    /// <summary>Time between two questions of one silo whether another lives.</summary>
    public TimeSpan ProbeInterval { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Questions without an answer after which a silo is declared dead.</summary>
    public int MissedProbes { get; init; } = 3;

    /// <summary>Silos that must agree that another is dead, where there are as many.</summary>
    public int Votes { get; init; } = 2;

    /// <summary>How long a call to a grain may take.</summary>
    public TimeSpan ResponseLimit { get; init; } = TimeSpan.FromSeconds(2);
}
