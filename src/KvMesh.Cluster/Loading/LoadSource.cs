namespace KvMesh.Cluster.Loading;

/// <summary>What kind of place blocks are fetched from.</summary>
public enum SourceKind
{
    /// <summary>RAM of this node.</summary>
    Memory,

    /// <summary>Disk of this node.</summary>
    Disk,

    /// <summary>Another node.</summary>
    Peer,

    Redis,
}

/// <summary>A place that blocks are fetched from, as it was measured (see <see cref="SourceMeter"/>). It delivers one block after the other.</summary>
/// <param name="Name">What operators call it, as <c>disk</c> or the id of a node.</param>
/// <param name="Kind">Its kind.</param>
/// <param name="BytesPerSecond">What it delivers to this reader when nobody else reads; more than 0. Sources behind one narrow link each get their share of it.</param>
/// <param name="Latency">From a request to its first byte. Requests are sent ahead, so that a run of blocks pays it once.</param>
public sealed record LoadSource(string Name, SourceKind Kind, double BytesPerSecond, TimeSpan Latency)
{
    /// <summary>Bytes that others wait for, which go first.</summary>
    public long QueuedBytes { get; init; }

    /// <summary>Seconds until the first byte of a block that is asked for now.</summary>
    internal double Start => Latency.TotalSeconds + (QueuedBytes / BytesPerSecond);
}
