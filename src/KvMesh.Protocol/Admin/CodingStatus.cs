namespace KvMesh.Protocol.Admin;

/// <summary>In how many bytes a node keeps blocks on its disk, since its process started.</summary>
/// <param name="Codecs">By codec; only those that were used.</param>
/// <param name="Fallbacks">Blocks that were to be encoded and were written as they are, by reason: "unknown-layout", "wrong-size", "no-gain",
/// "no-time", "mismatch" or "over-ceiling", which counts codecs that lost too much, whatever became of the block.</param>
/// <param name="UndecodableBlocks">Blocks that came off the disk whole and did not decode to their bytes. Each was a miss, and is gone.</param>
public sealed record CodingStatus(IReadOnlyList<CodecStatus> Codecs, IReadOnlyList<CodingFallbackStatus> Fallbacks, long UndecodableBlocks);

/// <summary>What one codec did.</summary>
/// <param name="Name">Name of the codec, as policies name it.</param>
/// <param name="EncodedFromBytes">Payload bytes of the encoded blocks as they were.</param>
/// <param name="EncodedToBytes">The same encoded.</param>
/// <param name="EncodeSeconds">Time of encoding, with the decoding that proves it.</param>
/// <param name="DecodedBytes">Payload bytes of the decoded blocks.</param>
public sealed record CodecStatus(
    string Name, long EncodedBlocks, long EncodedFromBytes, long EncodedToBytes, double EncodeSeconds, long DecodedBlocks, long DecodedBytes,
    double DecodeSeconds)
{
    /// <summary>What its blocks have lost; null: nothing, every bit comes back.</summary>
    public CodecLossStatus? Loss { get; init; }
}

/// <summary>Relative errors of the blocks that a codec encoded, measured on each. Null: not measured.</summary>
/// <param name="Keys">Mean error of keys.</param>
/// <param name="Values">Mean error of values.</param>
/// <param name="Outputs">Mean error of attention outputs, of queries made from the blocks' own keys.</param>
/// <param name="WorstOutputs">The largest of these.</param>
public sealed record CodecLossStatus(long Blocks, double? Keys, double? Values, double? Outputs, double? WorstOutputs);

/// <summary>How one tier encodes.</summary>
/// <param name="Tier">"host", "disk" or "redis".</param>
public sealed record TierCodingStatus(string Tier, CodingStatus Coding);

/// <summary>Blocks that were written as they are, for one reason.</summary>
public sealed record CodingFallbackStatus(string Reason, long Blocks);
