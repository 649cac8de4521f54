using System.Buffers.Binary;
using KvMesh.Codecs.Blocks;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Codecs.LayerPairs;

/// <summary>
/// Pairs of neighbouring layers that share directions, after MiniCache (Liu et al., 2024): of each pair of rows one direction on the circle between
/// both and two lengths are kept, and the rows of the tokens that differ most as they are. Directions are a block of fewer layers, which any codec
/// encodes. Little endian:
/// <code>
///  0  4  "KVM1"               4  1  version: 1         5  1  zero       6  2  first layer that may be paired
///  8  4  bytes of the record 12  4  CRC-32C of the eight bytes before it and of the record
/// 16  …  the record: for each pair and head, halves of the lengths of the keys of the first layer, of the second, of the values of both; a bit for each token
///        whose rows are kept; and for each of these tokens both keys and both values
///  …  …  the encoded block of directions
/// </code>
/// Nothing is measured here: the error that the inner block may carry is that of directions.
/// </summary>
public sealed class LayerPairCodec
{
    internal const int HeadBytes = 16;

    private const uint Magic = 0x314D_564B;
    private const byte Version = 1;
    private const int ChecksumOffset = 12;

    /// <param name="inner">Encodes what is left.</param>
    /// <param name="share">How far directions lie on the way from the first layer to the second; 0.6 as published.</param>
    /// <param name="keptShare">Share of tokens whose rows stay as they are, those with the largest angle between keys; 0.05 as published.</param>
    public LayerPairCodec(KvCodec inner, float share = 0.6f, float keptShare = 0.05f)
    {
        if (share is not (>= 0 and <= 1) || keptShare is not (>= 0 and <= 1))
        {
            throw new ArgumentException($"a share of {share} of the way and {keptShare} of the tokens: both must be from 0 to 1.");
        }

        Inner = inner;
        Share = share;
        KeptShare = keptShare;
        Name = $"minicache-{inner.Name}";
    }

    /// <summary>The kind, as it is kept with blocks.</summary>
    public static CodecId Id => CodecId.LayerPairs;

    public string Name { get; }

    public KvCodec Inner { get; }

    public float Share { get; }

    public float KeptShare { get; }

    /// <summary>Room that encoding needs.</summary>
    public int MaxBytes(LayerPairPlan plan) => checked(HeadBytes + PairRecord.MaxBytes(plan) + BlockEncoder.MaxBytes(Inner, plan.Merged));

    /// <summary>Encodes a part that begins with its block's first token.</summary>
    /// <param name="plan">Which layers share directions.</param>
    /// <param name="block">Exactly the bytes of the plan's whole part.</param>
    /// <param name="firstPosition">Position of the block's first token in its sequence; the first tokens of a sequence are kept as they are.</param>
    /// <param name="options">What else is wanted; errors are not measured.</param>
    /// <param name="destination">At least <see cref="MaxBytes"/>.</param>
    /// <param name="scratch">Working memory of this thread.</param>
    /// <returns>Bytes written.</returns>
    /// <exception cref="ArgumentException">A length is wrong.</exception>
    public int Encode(LayerPairPlan plan, ReadOnlySpan<byte> block, long firstPosition, in EncodeOptions options, Span<byte> destination, CodecScratch scratch)
    {
        var most = MaxBytes(plan);
        if (block.Length != plan.Whole.Bytes || destination.Length < most)
        {
            throw new ArgumentException($"a block of {block.Length} bytes into {destination.Length}: it must have {plan.Whole.Bytes}, and {most} may be needed.");
        }

        var merged = scratch.Rent(FrameSlot.Pairs, plan.Merged.Bytes);
        PairRecord.CopyOthers(plan.Merged, plan.Whole, block, merged);
        var raw = (First: (int)Math.Clamp(options.SinkPosition(firstPosition), 0, RawTokens.SinkTokens), Last: Math.Max(0, options.RawTail));
        var record = PairRecord.Write(this, plan, block, RawTokens.SinkTokens - raw.First, raw.Last, merged, destination[HeadBytes..], scratch);
        BinaryPrimitives.WriteUInt32LittleEndian(destination, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[4..], Version);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[6..], (ushort)plan.FirstLayer);
        BinaryPrimitives.WriteInt32LittleEndian(destination[8..], record);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[ChecksumOffset..], Checksum(destination, record));
        var at = HeadBytes + record;
        return at + BlockEncoder.Encode(Inner, plan.Merged, merged, firstPosition, options with { ProbedHeads = 0 }, destination[at..], scratch);
    }

    /// <summary>The first layer that may be paired, with which a plan to decode is made; false when the bytes do not begin as <see cref="Encode"/> begins.</summary>
    public static bool TryReadFirstLayer(ReadOnlySpan<byte> encoded, out int firstLayer)
    {
        firstLayer = 0;
        if (encoded.Length < HeadBytes || BinaryPrimitives.ReadUInt32LittleEndian(encoded) != Magic || BinaryPrimitives.ReadUInt16LittleEndian(encoded[4..]) != Version)
        {
            return false;
        }

        firstLayer = BinaryPrimitives.ReadUInt16LittleEndian(encoded[6..]);
        return firstLayer <= Layouts.KvLayout.MaxLayers;
    }

    /// <summary>Decodes a whole part. Nothing in the bytes is to be trusted.</summary>
    /// <param name="registry">Where the inner codec is looked for.</param>
    /// <param name="encoded">All that was written.</param>
    /// <param name="plan">The plan of the part, with the first layer that the bytes say.</param>
    /// <param name="block">Exactly the bytes of the plan's whole part.</param>
    /// <param name="scratch">Working memory of this thread.</param>
    public static DecodeResult Decode(CodecRegistry registry, ReadOnlySpan<byte> encoded, LayerPairPlan plan, Span<byte> block, CodecScratch scratch)
    {
        if (block.Length != plan.Whole.Bytes)
        {
            throw new ArgumentException($"a part of {plan.Whole.Bytes} bytes is to be decoded into {block.Length}.", nameof(block));
        }

        if (!TryReadFirstLayer(encoded, out var firstLayer))
        {
            return DecodeResult.NotEncoded;
        }

        var record = BinaryPrimitives.ReadUInt32LittleEndian(encoded[8..]);
        if (record > (uint)(encoded.Length - HeadBytes))
        {
            return DecodeResult.Truncated;
        }

        if (Checksum(encoded, (int)record) != BinaryPrimitives.ReadUInt32LittleEndian(encoded[ChecksumOffset..]))
        {
            return DecodeResult.BadChecksum;
        }

        if (firstLayer != plan.FirstLayer)
        {
            return DecodeResult.WrongLayout;
        }

        var merged = scratch.Rent(FrameSlot.Pairs, plan.Merged.Bytes);
        var result = BlockDecoder.Decode(registry, encoded[(HeadBytes + (int)record)..], plan.Merged, merged, scratch);
        if (result != DecodeResult.Ok)
        {
            return result;
        }

        PairRecord.CopyOthers(plan.Merged, plan.Whole, merged, block, isBack: true);
        return PairRecord.TryRead(plan, encoded.Slice(HeadBytes, (int)record), merged, block, scratch) ? DecodeResult.Ok : DecodeResult.Malformed;
    }

    private static uint Checksum(ReadOnlySpan<byte> encoded, int record) =>
        Crc32C.Append(Crc32C.Compute(encoded[4..ChecksumOffset]), encoded.Slice(HeadBytes, record));
}
