using System.Buffers.Binary;
using System.Security.Cryptography;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Blocks;

/// <summary>What a header says of its block. Append only.</summary>
[Flags]
public enum EncodedFlags : byte
{
    None = 0,

    /// <summary>Every bit comes back.</summary>
    Lossless = 1,

    /// <summary>Strips carry checksums of what they decode to.</summary>
    DecodedChecksums = 2,

    /// <summary>The error was measured.</summary>
    Measured = 4,

    /// <summary>Strips are rows of all heads side by side.</summary>
    JoinedHeads = 8,

    /// <summary>Tokens of the block's span were dropped; a list behind the parameters says which are left.</summary>
    KeptTokens = 16,
}

/// <summary>The fixed part of the header of an encoded block: 92 bytes, little endian. docs/CODECS.md has the table.</summary>
public readonly record struct EncodedHeader
{
    /// <summary>Bytes of the fixed part; behind it come parameters, kept tokens, section entries and the header's checksum.</summary>
    public const int FixedBytes = 92;

    /// <summary>"KVE1" in the order of bytes.</summary>
    internal const uint Magic = 0x3145_564B;

    internal const byte FrameVersion = 1;

    public EncodedFlags Flags { get; init; }

    public CodecId Codec { get; init; }

    public byte CodecVersion { get; init; }

    /// <summary>First 8 bytes of SHA-256 over the codec's parameters.</summary>
    public ulong ParametersHash { get; init; }

    public int ParameterBytes { get; init; }

    /// <summary>Sections: one for each tensor, and one more for each of its refinements.</summary>
    public int SectionCount { get; init; }

    /// <summary>Refinements that the block was encoded with, of which the last may be missing; 0 for most codecs.</summary>
    public int Refinements { get; init; }

    /// <summary>Tensors that the block holds: as many sections lie before those of the first refinement.</summary>
    public int TensorCount => SectionCount / (Refinements + 1);

    /// <summary>Bytes of the whole encoded block.</summary>
    public int TotalBytes { get; init; }

    public int Tokens { get; init; }

    /// <summary>Position of the first token in its sequence.</summary>
    public long FirstPosition { get; init; }

    public RawTokens Raw { get; init; }

    public MeasuredError Error { get; init; }

    /// <summary>Bytes of the list of kept tokens; 0 when the block has all tokens of its span.</summary>
    public int KeptBytes { get; init; }

    /// <summary>Where entries of sections begin.</summary>
    internal int EntriesOffset => FixedBytes + ParameterBytes + KeptBytes;

    /// <summary>Bytes of the header with all its parts.</summary>
    public int HeaderBytes => EntriesOffset + (SectionCount * SectionEntry.Bytes) + sizeof(uint);

    public bool IsLossless => Has(EncodedFlags.Lossless);

    public bool Has(EncodedFlags flag) => (Flags & flag) != 0;

    public static ulong HashOf(ReadOnlySpan<byte> parameters)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(parameters, hash);
        return BinaryPrimitives.ReadUInt64LittleEndian(hash);
    }

    internal void Write(Span<byte> destination, ReadOnlySpan<byte> layoutHash)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(destination, Magic);
        destination[4] = FrameVersion;
        destination[5] = (byte)Flags;
        BinaryPrimitives.WriteUInt16LittleEndian(destination[6..], (ushort)Codec);
        destination[8] = CodecVersion;
        destination[9] = (byte)Refinements;
        BinaryPrimitives.WriteUInt16LittleEndian(destination[10..], (ushort)ParameterBytes);
        BinaryPrimitives.WriteInt32LittleEndian(destination[12..], SectionCount);
        BinaryPrimitives.WriteInt32LittleEndian(destination[16..], TotalBytes);
        BinaryPrimitives.WriteInt32LittleEndian(destination[20..], Tokens);
        BinaryPrimitives.WriteInt64LittleEndian(destination[24..], FirstPosition);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[32..], ParametersHash);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[40..], (ushort)Raw.Leading);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[42..], (ushort)Raw.Trailing);
        BinaryPrimitives.WriteSingleLittleEndian(destination[44..], Error.Keys);
        BinaryPrimitives.WriteSingleLittleEndian(destination[48..], Error.Values);
        BinaryPrimitives.WriteSingleLittleEndian(destination[52..], Error.Outputs);
        BinaryPrimitives.WriteInt32LittleEndian(destination[56..], KeptBytes);
        layoutHash.CopyTo(destination[60..FixedBytes]);
    }

    internal static DecodeResult TryRead(ReadOnlySpan<byte> source, out EncodedHeader header)
    {
        header = default;
        if (source.Length < FixedBytes)
        {
            return DecodeResult.Truncated;
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(source) != Magic)
        {
            return DecodeResult.NotEncoded;
        }

        if (source[4] != FrameVersion)
        {
            return DecodeResult.UnknownVersion;
        }

        header = new EncodedHeader
        {
            Flags = (EncodedFlags)source[5],
            Codec = (CodecId)BinaryPrimitives.ReadUInt16LittleEndian(source[6..]),
            CodecVersion = source[8],
            Refinements = source[9],
            ParameterBytes = BinaryPrimitives.ReadUInt16LittleEndian(source[10..]),
            SectionCount = BinaryPrimitives.ReadInt32LittleEndian(source[12..]),
            TotalBytes = BinaryPrimitives.ReadInt32LittleEndian(source[16..]),
            Tokens = BinaryPrimitives.ReadInt32LittleEndian(source[20..]),
            FirstPosition = BinaryPrimitives.ReadInt64LittleEndian(source[24..]),
            ParametersHash = BinaryPrimitives.ReadUInt64LittleEndian(source[32..]),
            Raw = new RawTokens(BinaryPrimitives.ReadUInt16LittleEndian(source[40..]), BinaryPrimitives.ReadUInt16LittleEndian(source[42..])),
            Error = new MeasuredError(
                BinaryPrimitives.ReadSingleLittleEndian(source[44..]), BinaryPrimitives.ReadSingleLittleEndian(source[48..]),
                BinaryPrimitives.ReadSingleLittleEndian(source[52..])),
            KeptBytes = BinaryPrimitives.ReadInt32LittleEndian(source[56..]),
        };
        return header.IsSound ? DecodeResult.Ok : DecodeResult.Malformed;
    }

    private bool IsSound =>
        ParameterBytes <= KvCodec.MaxParameterBytes
        && Refinements <= KvCodec.MaxRefinements
        && SectionCount > 0 && SectionCount % (Refinements + 1) == 0
        && TensorCount <= KvLayout.MaxLayers * 2
        && Tokens is > 0 and <= KvLayout.MaxBlockTokens
        && FirstPosition >= 0
        && Raw.Fits(Tokens)
        && KeptBytes >= 0 && KeptBytes <= KeptTokens.MaxBytes(Tokens)
        && Has(EncodedFlags.KeptTokens) == KeptBytes > 0
        && TotalBytes >= HeaderBytes;
}
