using System.IO.Compression;
using KvMesh.Engine.Coding;
using KvMesh.Protocol.Integrity;

namespace KvMesh.TestKit;

/// <summary>
/// A coder that loses the lower half of each byte, always the same way: what a block becomes is <see cref="Lossy"/>. Where every bit must come
/// back it encodes losslessly. It can be made to fail in the ways that coders fail.
/// </summary>
public sealed class RoundingCoder : IPayloadCoder
{
    public const string Name = "rounding";

    private const ushort Id = 48;
    private const byte Rounded = (byte)'R';
    private const byte Exact = (byte)'E';

    /// <summary>What it says of every block that it rounds.</summary>
    public static Loss Loss { get; } = new(Id, 0.05f, 0.04f, 0.03f);

    public CodingAdvice Advice { get; set; } = CodingAdvice.Encode;

    /// <summary>Whether it gives every bit back, whatever it may.</summary>
    public bool IsExact { get; set; }

    /// <summary>Whether it rounds what must not be.</summary>
    public bool Disobeys { get; set; }

    /// <summary>Codecs that it says were too bad.</summary>
    public int OverCeiling { get; set; }

    /// <summary>Changes what was decoded before it is handed over.</summary>
    public Action<byte[]>? SpoilsDecoded { get; set; }

    /// <summary>What a payload has become when it was rounded.</summary>
    public static byte[] Lossy(ReadOnlySpan<byte> payload) => [.. payload.ToArray().Select(value => (byte)(value & 0xF0))];

    public CodingAdvice Advise(in CodedBlock block, out int maxBytes)
    {
        maxBytes = Advice == CodingAdvice.Encode ? 1 + BrotliEncoder.GetMaxCompressedLength(block.PayloadBytes) : 0;
        return Advice;
    }

    public EncodedPayload Encode(in CodedBlock block, ReadOnlySpan<byte> payload, Span<byte> destination)
    {
        if (IsExact || (block.MustBeExact && !Disobeys))
        {
            destination[0] = Exact;
            return BrotliEncoder.TryCompress(payload, destination[1..], out var written, quality: 1, window: 22)
                ? new EncodedPayload(1 + written, Id, Name) { OverCeiling = OverCeiling }
                : default;
        }

        destination[0] = Rounded;
        for (var index = 0; index < payload.Length; index += 2)
        {
            var low = index + 1 < payload.Length ? payload[index + 1] : 0;
            destination[1 + (index / 2)] = (byte)((payload[index] & 0xF0) | (low >> 4));
        }

        return new EncodedPayload(1 + ((payload.Length + 1) / 2), Id, Name) { Loss = Loss, OverCeiling = OverCeiling };
    }

    public bool TryDecode(ReadOnlySpan<byte> encoded, Span<byte> payload, out string codec)
    {
        codec = Name;
        var decoded = new byte[payload.Length];
        if (!(encoded.Length > 0 && encoded[0] == Rounded ? TryUnpack(encoded[1..], decoded) : TryExpand(encoded, decoded)))
        {
            return false;
        }

        SpoilsDecoded?.Invoke(decoded);
        decoded.CopyTo(payload);
        return true;
    }

    private static bool TryUnpack(ReadOnlySpan<byte> packed, Span<byte> decoded)
    {
        if (packed.Length != (decoded.Length + 1) / 2)
        {
            return false;
        }

        for (var index = 0; index < decoded.Length; index++)
        {
            decoded[index] = (byte)(index % 2 == 0 ? packed[index / 2] & 0xF0 : packed[index / 2] << 4);
        }

        return true;
    }

    private static bool TryExpand(ReadOnlySpan<byte> encoded, Span<byte> decoded) =>
        encoded.Length > 0 && encoded[0] == Exact && BrotliDecoder.TryDecompress(encoded[1..], decoded, out var written) && written == decoded.Length;
}
