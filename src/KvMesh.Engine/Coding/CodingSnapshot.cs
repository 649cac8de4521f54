using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Coding;

/// <summary>What the coder of a tier did since the process started.</summary>
/// <param name="Codecs">By codec; only those that were used.</param>
/// <param name="Fallbacks">Blocks that were to be encoded and were written as they are, by reason.</param>
/// <param name="UndecodableBlocks">Blocks that were read whole and did not decode to their bytes: each was a miss, and is gone.</param>
public sealed record CodingSnapshot(IReadOnlyList<CodecSnapshot> Codecs, IReadOnlyList<FallbackSnapshot> Fallbacks, long UndecodableBlocks)
{
    /// <summary>Nothing was encoded or decoded.</summary>
    public static CodingSnapshot Empty { get; } = new([], [], 0);
}

/// <summary>One codec. Times are of the threads that encoded, with the decoding that proves it, and decoded.</summary>
public sealed record CodecSnapshot(
    string Name, long EncodedBlocks, long EncodedFromBytes, long EncodedToBytes, TimeSpan EncodeTime, long DecodedBlocks, long DecodedBytes,
    TimeSpan DecodeTime)
{
    /// <summary>What it lost of the blocks that it encoded.</summary>
    public LossSums Lost { get; init; }
}

/// <summary>Losses of many blocks, added up. What was not measured of a block counts as nothing lost.</summary>
/// <param name="Blocks">Blocks that lost something.</param>
/// <param name="Keys">Sum of their relative errors of keys.</param>
/// <param name="Values">The same of values.</param>
/// <param name="Outputs">The same of attention outputs.</param>
/// <param name="WorstOutputs">The largest error of attention outputs.</param>
public readonly record struct LossSums(long Blocks, double Keys, double Values, double Outputs, double WorstOutputs)
{
    /// <summary>Mean of one of the sums.</summary>
    public double MeanOf(double sum) => Blocks == 0 ? 0 : sum / Blocks;

    internal LossSums With(Loss loss) => new(
        Blocks + 1, Keys + Known(loss.Keys), Values + Known(loss.Values), Outputs + Known(loss.Outputs), Math.Max(WorstOutputs, Known(loss.Outputs)));

    private static double Known(float error) => float.IsNaN(error) ? 0 : error;
}

/// <summary>Blocks that were written as they are, for one reason.</summary>
public sealed record FallbackSnapshot(string Reason, long Blocks);
