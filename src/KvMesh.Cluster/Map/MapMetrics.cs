using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace KvMesh.Cluster.Map;

/// <summary>What the block map of this node holds, was told and was asked.</summary>
public sealed class MapMetrics : IDisposable
{
    /// <summary>Name of the meter.</summary>
    public const string MeterName = "KvMesh.Map";

    private readonly Histogram<double> _match;
    private readonly Histogram<int> _rounds;
    private readonly Counter<long> _matchedBlocks;
    private readonly Counter<long> _falseHits;
    private readonly Counter<long> _events;
    private readonly Counter<long> _gaps;
    private readonly Counter<long> _snapshots;
    private readonly Counter<long> _snapshotBlocks;
    private long _falseHitCount;

    public MapMetrics(BlockMap map)
    {
        ArgumentNullException.ThrowIfNull(map);
        Meter = new Meter(MeterName);
        Meter.CreateObservableGauge("kvmesh.map.locations", () => map.Locations, "{location}", "Blocks times the nodes that hold them.");
        Meter.CreateObservableGauge("kvmesh.map.memory", () => map.Bytes, "By", "Bytes that the tables of the block map take.");
        Meter.CreateObservableCounter("kvmesh.map.refused", () => map.Refused, "{location}", "Locations that were not taken because the map was full.");
        _match = Meter.CreateHistogram<double>("kvmesh.map.match.duration", "s", "Time to find who holds a prefix.");
        _rounds = Meter.CreateHistogram<int>("kvmesh.map.match.rounds", "{round}", "Rounds of questions to other directories for one prefix.");
        _matchedBlocks = Meter.CreateCounter<long>("kvmesh.map.match.blocks", "{block}", "Blocks that others were found to hold.");
        _falseHits = Meter.CreateCounter<long>("kvmesh.map.false_hits", "{block}", "Blocks that a node did not have though the map said so.");
        _events = Meter.CreateCounter<long>("kvmesh.map.events", "{event}", "Changes that nodes told this directory.");
        _gaps = Meter.CreateCounter<long>("kvmesh.map.gaps", "{gap}", "Times that a node's events were gone before this directory had read them.");
        _snapshots = Meter.CreateCounter<long>("kvmesh.map.snapshots", "{snapshot}", "Lists of all blocks of a node that were read to the end.");
        _snapshotBlocks = Meter.CreateCounter<long>("kvmesh.map.snapshot.blocks", "{block}", "Blocks in those lists.");
    }

    public Meter Meter { get; }

    /// <summary>False hits so far, for the status of the node.</summary>
    public long FalseHits => Interlocked.Read(ref _falseHitCount);

    public void NoteFalseHit()
    {
        Interlocked.Increment(ref _falseHitCount);
        _falseHits.Add(1);
    }

    public void NoteEvents(long count) => _events.Add(count);

    public void NoteGap() => _gaps.Add(1);

    public void NoteSnapshotBlocks(long count) => _snapshotBlocks.Add(count);

    public void NoteSnapshot() => _snapshots.Add(1);

    public void Dispose() => Meter.Dispose();

    internal void NoteMatch(long startedAt, int blocks)
    {
        _match.Record(Stopwatch.GetElapsedTime(startedAt).TotalSeconds);
        _matchedBlocks.Add(blocks);
    }

    internal void NoteProbes(int rounds) => _rounds.Record(rounds);
}
