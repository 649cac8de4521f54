namespace KvMesh.Protocol.Admin;

/// <summary>What clients asked for and got, in blocks and payload bytes.</summary>
/// <param name="DuplicateWrites">Writes of content that was here already.</param>
/// <param name="RefusedWrites">Writes that found no room.</param>
/// <param name="MatchRequests">Questions for the longest prefix that is here.</param>
/// <param name="MatchedBlocks">Blocks that those questions found.</param>
/// <param name="AskedBlocks">Blocks that those questions named.</param>
public sealed record TrafficStatus(
    long Reads, long ReadHits, long ReadBytes, long Writes, long WrittenBytes, long DuplicateWrites, long RefusedWrites,
    long MatchRequests, long MatchedBlocks, long AskedBlocks);

/// <summary>Checks of stored bytes. A mismatch takes the block out of service.</summary>
public sealed record IntegrityStatus(
    long VerifiedBlocks, long VerifiedBytes, long Mismatches, long QuarantinedBlocks, long ScrubbedBlocks, long ScrubbedBytes,
    long ScrubPasses);
