using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Placement;

/// <summary>A node of the view and what a plan may still ask of it.</summary>
internal sealed class NodeBudget(NodeRecord record, NodeLoad load, PlacementOptions options)
{
    private readonly double _seconds = options.Step.TotalSeconds * options.BandwidthShare;
    private long _taken = load.OpenBytes;
    private long _given;

    public NodeRecord Record => record;

    public NodeLoad Load => load;

    /// <summary>Bytes that orders of one step may bring here.</summary>
    public long InShareBytes => (long)(load.InBytesPerSecond * _seconds);

    /// <summary>Bytes that orders of one step may take from here.</summary>
    public long OutShareBytes => (long)(load.OutBytesPerSecond * _seconds);

    /// <summary>Whether nothing is on its way here.</summary>
    public bool TakesNothing => _taken == 0;

    public bool GivesNothing => _given == 0;

    public long InBytesLeft => Math.Max(0, InShareBytes - _taken);

    public long OutBytesLeft => Math.Max(0, OutShareBytes - _given);

    /// <summary>Free RAM, and the share of the rest that one plan may turn over.</summary>
    public long RoomBytesLeft => Math.Max(0, load.FreeBytes + (long)(load.CapacityBytes * options.TurnoverShare) - _taken);

    /// <summary>Whether what comes now makes something else leave.</summary>
    public bool IsFull => load.FreeBytes <= _taken;

    public void Take(long bytes) => _taken += bytes;

    public void Give(long bytes) => _given += bytes;
}
