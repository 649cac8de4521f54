using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Raw;

/// <summary>Writes strips as they are: what other codecs are compared with, and the frame without a codec.</summary>
public sealed class RawCodec : KvCodec
{
    public static RawCodec Instance { get; } = new();

    public static CodecFamily Family { get; } = new(
        CodecId.Raw, (version, parameters) => version == 1 && parameters.IsEmpty ? Instance : null, [Instance]);

    public override CodecId Id => CodecId.Raw;

    public override string Name => "raw";

    public override bool IsLossless => true;

    public override bool Codes(in PlaneShape plane) => plane.TailBytes == 0;

    public override int MaxStripBytes(in StripShape shape) => shape.Bytes;

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        var row = shape.RowBytes;
        for (var token = 0; token < shape.Tokens; token++)
        {
            source.Row(token).CopyTo(destination.Slice(token * row, row));
        }

        return shape.Bytes;
    }

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        if (source.Length != shape.Bytes)
        {
            return false;
        }

        var row = shape.RowBytes;
        for (var token = 0; token < shape.Tokens; token++)
        {
            source.Slice(token * row, row).CopyTo(target.Row(token));
        }

        return true;
    }
}
