using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.EntropyCoding;

namespace KvMesh.Codecs.Lossless;

/// <summary>
/// Every bit comes back: exponents of a head are few and often the same, so they are entropy coded with a table of their own; signs and
/// mantissas are noise and stay. A strip is the table of frequencies, the rest plane where the element has one, and the stream of symbols.
/// </summary>
public sealed class LosslessCodec : KvCodec
{
    private const int SymbolSlot = 0;
    private const int StreamSlot = 1;
    private const int TableSlot = 2;

    public static LosslessCodec Instance { get; } = new();

    public static CodecFamily Family { get; } = new(
        CodecId.Lossless, (version, parameters) => version == 1 && parameters.IsEmpty ? Instance : null, [Instance]);

    public override CodecId Id => CodecId.Lossless;

    public override string Name => "lossless";

    public override bool IsLossless => true;

    public override bool IsFixedSize => false;

    public override int MaxStripBytes(in StripShape shape) =>
        SymbolFrequencies.MaxStoredBytes + RestBytes(shape) + Rans.MaxBytes(shape.Elements);

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        var symbols = scratch.Rent<byte>(SymbolSlot, shape.Elements);
        Span<int> counts = stackalloc int[SymbolFrequencies.SymbolCount];
        Span<ushort> frequencies = stackalloc ushort[SymbolFrequencies.SymbolCount];
        var channels = shape.Channels;
        var rest = destination.Slice(SymbolFrequencies.MaxStoredBytes, RestBytes(shape));
        for (var token = 0; token < shape.Tokens; token++)
        {
            var at = token * channels;
            BytePlanes.Split(shape.Element, source.Row(token), symbols.Slice(at, channels), rest.IsEmpty ? rest : rest.Slice(at, channels), scratch.Level);
        }

        SymbolFrequencies.Count(symbols, counts);
        SymbolFrequencies.Normalise(counts, frequencies);
        var written = SymbolFrequencies.Write(frequencies, destination);
        rest.CopyTo(destination[written..]);
        written += rest.Length;
        var buffer = scratch.Rent<byte>(StreamSlot, Rans.MaxBytes(shape.Elements));
        var streamBytes = Rans.EncodeBackwards(symbols, frequencies, buffer, scratch.Level);
        buffer[^streamBytes..].CopyTo(destination[written..]);
        return written + streamBytes;
    }

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        Span<ushort> frequencies = stackalloc ushort[SymbolFrequencies.SymbolCount];
        var at = SymbolFrequencies.TryRead(source, frequencies);
        if (at == 0 || source.Length - at < RestBytes(shape))
        {
            return false;
        }

        var rest = source.Slice(at, RestBytes(shape));
        var table = scratch.Rent<uint>(TableSlot, RansDecoder.TableLength);
        var symbols = scratch.Rent<byte>(SymbolSlot, shape.Elements);
        RansDecoder.FillTable(frequencies, table);
        if (!RansDecoder.TryDecode(source[(at + rest.Length)..], table, symbols, scratch.Level))
        {
            return false;
        }

        var channels = shape.Channels;
        for (var token = 0; token < shape.Tokens; token++)
        {
            var first = token * channels;
            BytePlanes.Join(shape.Element, symbols.Slice(first, channels), rest.IsEmpty ? rest : rest.Slice(first, channels), target.Row(token), scratch.Level);
        }

        return true;
    }

    private static int RestBytes(in StripShape shape) => BytePlanes.HasRest(shape.Element) ? shape.Elements : 0;
}
