namespace KvMesh.Engine.Telemetry;

/// <summary>Counts since the process started. Fields are only ever added to, with <see cref="Interlocked"/>.</summary>
internal sealed class EngineCounters
{
    public long Reads;
    public long HostHits;
    public long DiskHits;
    public long FarHits;
    public long PeerReads;
    public long PeerReadBytes;
    public long PeerReadTicks;
    public long ReadBytes;
    public long Writes;
    public long WrittenBytes;
    public long DuplicateWrites;
    public long RefusedWrites;
    public long AbortedWrites;
    public long MatchRequests;
    public long MatchedBlocks;
    public long AskedBlocks;
    public long HostEvictions;
    public long HostEvictedBytes;
    public long HostDropped;
    public long ShadowsDropped;
    public long DiskDropped;
    public long VerifiedBlocks;
    public long VerifiedBytes;
    public long Mismatches;
    public long Quarantined;
    public long ScrubbedBlocks;
    public long ScrubbedBytes;
    public long ScrubPasses;
}
