namespace KvMesh.Codecs.Blocks;

/// <summary>
/// Tokens of a block that stay as they are: the first of a sequence, on which attention rests, and the end of a block that is not yet full
/// or whose caller still writes behind it.
/// </summary>
/// <param name="Leading">Tokens from the first on. They also go through the codec, as copies of the token behind them, so that groups stay whole.</param>
/// <param name="Trailing">Tokens up to the last. The codec does not see them.</param>
public readonly record struct RawTokens(int Leading, int Trailing)
{
    /// <summary>How many first tokens of a sequence every lossy codec keeps: attention sinks.</summary>
    public const int SinkTokens = 4;

    /// <summary>What stays raw of a block.</summary>
    /// <param name="codec">The codec.</param>
    /// <param name="tokens">Tokens of the block.</param>
    /// <param name="firstPosition">Position of its first token in the sequence.</param>
    /// <param name="wantedTail">Last tokens that the caller wants raw.</param>
    public static RawTokens Of(KvCodec codec, int tokens, long firstPosition, int wantedTail)
    {
        if (codec.IsLossless && codec.TokenMultiple == 1)
        {
            return default;
        }

        var leading = codec.IsLossless ? 0 : (int)Math.Max(0, SinkTokens - firstPosition);
        var coded = Math.Max(0, tokens - (codec.IsLossless ? 0 : Math.Max(0, wantedTail)));
        coded -= coded % codec.TokenMultiple;
        return coded > leading ? new RawTokens(leading, tokens - coded) : new RawTokens(0, tokens);
    }

    /// <summary>Tokens that the codec sees.</summary>
    internal int Coded(int tokens) => tokens - Trailing;

    internal int Rows => Leading + Trailing;

    internal bool Fits(int tokens) => (uint)Leading <= (uint)tokens && (uint)Trailing <= (uint)tokens && Leading <= tokens - Trailing;
}

/// <summary>How a block is to be encoded.</summary>
public readonly record struct EncodeOptions
{
    /// <summary>Last tokens that stay raw, for a block that is still written behind.</summary>
    public int RawTail { get; init; }

    /// <summary>Decodes every strip again and keeps a checksum of what came out.</summary>
    public bool RecordsDecodedChecksums { get; init; }

    /// <summary>On how many (layer, head) pairs the error is measured, spread over the block; 0 for none.</summary>
    public int ProbedHeads { get; init; }

    /// <summary>Codes the first tokens of a sequence like all others. Only to measure what that would cost.</summary>
    internal bool CodesSinks { get; init; }

    /// <summary>
    /// For a block from whose span tokens were dropped: for each token how far its position lies behind the block's first position, ascending
    /// and below <see cref="KeptTokens.MaxSpan"/>. Empty for a block that has all tokens of its span.
    /// </summary>
    public ReadOnlyMemory<int> KeptOffsets { get; init; }

    /// <summary>The position that decides which tokens are sinks: so many before the fifth as there are.</summary>
    internal long SinkPosition(long firstPosition)
    {
        if (CodesSinks)
        {
            return RawTokens.SinkTokens;
        }

        return KeptOffsets.IsEmpty ? firstPosition : RawTokens.SinkTokens - KeptTokens.SinkCount(KeptOffsets.Span, firstPosition);
    }
}

/// <summary>The measured loss of a block; NaN where nothing was measured.</summary>
/// <param name="Keys">‖K − K̂‖ ÷ ‖K‖ (Frobenius) over the probed heads.</param>
/// <param name="Values">The same of values, or of a latent.</param>
/// <param name="Outputs">Mean over probe queries of ‖o − ô‖ ÷ ‖o‖ of attention outputs with the same query; NaN when there were none, infinite when one is no number.</param>
public readonly record struct MeasuredError(float Keys, float Values, float Outputs)
{
    /// <summary>Nothing was measured.</summary>
    public static MeasuredError Unknown => new(float.NaN, float.NaN, float.NaN);

    /// <summary>What a lossless codec has.</summary>
    public static MeasuredError None => default;
}
