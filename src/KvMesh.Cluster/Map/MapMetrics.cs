using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace KvMesh.Cluster.Map;

/// <summary>What the block map of this node holds, was told and was asked.</summary>
public sealed class MapMetrics
{
    private readonly Histogram<double> _match;
    private readonly Histogram<int> _rounds;
    private long _matchedBlocks;
    private long _falseHits;
    private long _holes;
    private long _events;
    private long _gaps;
    private long _snapshots;
    private long _snapshotBlocks;

    /// <param name="map">The map that is observed.</param>
    /// <param name="meter">Where the instruments go; its owner ends them.</param>
    public MapMetrics(BlockMap map, Meter meter)
    {
        ArgumentNullException.ThrowIfNull(map);
        ArgumentNullException.ThrowIfNull(meter);
        meter.CreateObservableGauge("kvmesh.map.locations", () => map.Locations, "{location}", "Blocks times the nodes that hold them.");
        meter.CreateObservableGauge("kvmesh.map.memory", () => map.Bytes, "By", "Bytes that the tables of the block map take.");
        Counter("kvmesh.map.refused", "{location}", "Locations that were not taken because the map was full.", () => map.Refused);
        Counter("kvmesh.map.match.blocks", "{block}", "Blocks that others were found to hold.", () => Interlocked.Read(ref _matchedBlocks));
        Counter("kvmesh.map.false_hits", "{block}", "Blocks that a node did not have though the map said so.", () => FalseHits);
        Counter("kvmesh.map.holes", "{block}", "Blocks that readers missed after a chain was found by probing; it ends before them from then on.", () => Holes);
        Counter("kvmesh.map.events", "{event}", "Changes that nodes told this directory.", () => Events);
        Counter("kvmesh.map.gaps", "{gap}", "Times that a node's changes were gone before this directory had read them.", () => Gaps);
        Counter("kvmesh.map.snapshots", "{snapshot}", "Lists of the blocks of a node that were read to the end.", () => Snapshots);
        Counter("kvmesh.map.snapshot.blocks", "{block}", "Blocks in lists that were read.", () => Interlocked.Read(ref _snapshotBlocks));
        _match = meter.CreateHistogram<double>("kvmesh.map.match.duration", "s", "Time to find who holds a prefix.");
        _rounds = meter.CreateHistogram<int>("kvmesh.map.match.rounds", "{round}", "Rounds of questions to other directories for one prefix.");

        void Counter(string name, string unit, string description, Func<long> value) => meter.CreateObservableCounter(name, value, unit, description);
    }

    public long FalseHits => Interlocked.Read(ref _falseHits);

    public long Holes => Interlocked.Read(ref _holes);

    public long Events => Interlocked.Read(ref _events);

    public long Gaps => Interlocked.Read(ref _gaps);

    public long Snapshots => Interlocked.Read(ref _snapshots);

    public void NoteFalseHit() => Interlocked.Increment(ref _falseHits);

    public void NoteHole() => Interlocked.Increment(ref _holes);

    public void NoteEvents(long count) => Interlocked.Add(ref _events, count);

    public void NoteGap() => Interlocked.Increment(ref _gaps);

    public void NoteSnapshotBlocks(long count) => Interlocked.Add(ref _snapshotBlocks, count);

    public void NoteSnapshot() => Interlocked.Increment(ref _snapshots);

    internal void NoteMatch(long startedAt, int blocks)
    {
        _match.Record(Stopwatch.GetElapsedTime(startedAt).TotalSeconds);
        Interlocked.Add(ref _matchedBlocks, blocks);
    }

    internal void NoteProbes(int rounds) => _rounds.Record(rounds);
}
