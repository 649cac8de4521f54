using KvMesh.Cluster.Loading;

namespace KvMesh.Worker.Roles;

/// <summary>
/// What the places deliver that a worker pulls blocks from, as it sees it through its node: what the node has itself, and what the node must fetch. Measured from end
/// to end, so that doors, disks and other readers are in it.
/// </summary>
internal sealed class LoadMeters(TimeProvider time)
{
    private const double AssumedBytesPerSecond = 500e6;
    private const double AssumedBytesPerSecondElsewhere = 200e6;

    /// <summary>As a plan numbers them.</summary>
    public const int Here = 0;
    public const int Node = 1;
    public const int Elsewhere = 2;

    /// <summary>Blocks that are in the worker's memory: they are there at once.</summary>
    private static readonly LoadSource Own = new("worker", SourceKind.Memory, 1e18, TimeSpan.Zero);

    private readonly SourceMeter _node = new("node", SourceKind.Memory, AssumedBytesPerSecond, TimeSpan.FromMilliseconds(1), time);
    private readonly SourceMeter _elsewhere = new("elsewhere", SourceKind.Peer, AssumedBytesPerSecondElsewhere, TimeSpan.FromMilliseconds(5), time);

    public LoadSource[] Current => [Own, _node.Current, _elsewhere.Current];

    public SourceMeter Of(int source) => source == Node ? _node : _elsewhere;
}
