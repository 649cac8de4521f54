using System.ComponentModel.DataAnnotations;

namespace KvMesh.Cluster.Placement;

/// <summary>How a node takes part in placement. Bound from the section <c>Placement</c>. What the scheduler is told is that of the node which plans.</summary>
public sealed class PlacementServiceOptions
{
    /// <summary>Time between two plans, and the time that the orders of a plan should take.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "01:00:00")]
    public TimeSpan Step { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Bytes that all orders of one plan may move. 0: plans are made and order nothing, not even for pins and drains.</summary>
    [Range(0, long.MaxValue)]
    public long BytesPerStep { get; set; } = 4L << 30;

    /// <summary>Share of a node's bandwidth that orders may fill.</summary>
    [Range(0.01, 1.0)]
    public double BandwidthShare { get; set; } = 0.25;

    /// <summary>Bytes per second that this node's network is taken to carry until it was seen.</summary>
    [Range(1L << 20, 1L << 40)]
    public long LinkBytesPerSecond { get; set; } = 1L << 30;

    /// <summary>Share of a node's RAM that one plan may put on it when that makes other blocks leave.</summary>
    [Range(0.0, 1.0)]
    public double TurnoverShare { get; set; } = 0.02;

    /// <summary>How long demand is taken to last: the time over which a copy has to pay.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan Horizon { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>A copy is made when it saves this many times what it costs.</summary>
    [Range(1.0, 1000.0)]
    public double MinGain { get; set; } = 2;

    /// <summary>Copies of one prefix that demand alone may make. The map names four holders of a block.</summary>
    [Range(1, 16)]
    public int MaxReplicas { get; set; } = 4;

    /// <summary>A holder busier than this shares its hottest prefixes.</summary>
    [Range(0.1, 1.0)]
    public double BusyUtilisation { get; set; } = 0.7;

    /// <summary>A pull that would take longer than this from one node is spread over several.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "01:00:00")]
    public TimeSpan SlowPull { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Nodes over which one long sequence is spread at most.</summary>
    [Range(1, 64)]
    public int MaxSpread { get; set; } = 4;

    /// <summary>How long before a session returns its blocks are moved, beyond the time that the move takes.</summary>
    public TimeSpan PrefetchMargin { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest wait for one answer of a node; one that did not answer is left alone for five times as long as that took.</summary>
    [Range(typeof(TimeSpan), "00:00:00.05", "00:01:00")]
    public TimeSpan CallTimeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Least time that an order may take. After this and eight times what all open orders of its node should take, it counts as lost once the node has brought
    /// nothing for as long again.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan OrderPatience { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a node keeps the copy of a pin without another word from the scheduler, which renews it after a third of that.</summary>
    [Range(typeof(TimeSpan), "00:00:10", "1.00:00:00")]
    public TimeSpan HoldTime { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Longest time that a stop waits for others to take the blocks that only this node has. 0: it does not wait.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Time after which a request counts half in what is wanted.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan DemandHalfLife { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Prefixes whose demand is counted.</summary>
    [Range(16, 1 << 20)]
    public int DemandPrefixes { get; set; } = 4096;

    /// <param name="recomputeBytesPerSecond">What an engine computes: what a lost block costs.</param>
    public PlacementOptions ToPlan(double recomputeBytesPerSecond) => new()
    {
        Step = Step,
        BytesPerStep = BytesPerStep,
        BandwidthShare = BandwidthShare,
        TurnoverShare = TurnoverShare,
        Horizon = Horizon,
        RecomputeBytesPerSecond = recomputeBytesPerSecond,
        MinGain = MinGain,
        MaxReplicas = MaxReplicas,
        BusyUtilisation = BusyUtilisation,
        SlowPull = SlowPull,
        MaxSpread = MaxSpread,
        PrefetchMargin = PrefetchMargin,
    };
}
