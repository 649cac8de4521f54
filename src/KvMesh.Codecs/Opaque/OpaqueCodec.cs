using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvMesh.Codecs.Blocks;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Codecs.Opaque;

/// <summary>
/// Writes payloads of which nothing is known but their bytes in fewer bytes, and gives every bit back. Numbers of two or four bytes show in the
/// statistics of every second or fourth byte: each chunk is taken apart into such planes, and each plane is entropy coded where that pays, with one
/// law or with one for each class of an earlier byte. All that reading needs is in what was written. Little endian:
/// <code>
///  0  4  "KVO1"               4  1  version: 1         5  3  zero
///  8  4  payload bytes       12  4  CRC-32C of the eight bytes before it and of the list
/// 16  4  bytes of each chunk, one after the other; a chunk holds 256 KiB of the payload, the last what is left
/// </code>
/// Any thread, each with its own scratch.
/// </summary>
public static class OpaqueCodec
{
    /// <summary>Bytes of a payload that are coded together: enough that tables are lost in them, few enough that laws may change from tensor to tensor.</summary>
    public const int ChunkBytes = 256 * 1024;

    /// <summary>Least part of a payload that an encoding must save.</summary>
    private const int LeastGain = 64;

    private const uint Magic = 0x314F_564B;
    private const byte Version = 1;
    private const int HeadBytes = 16;
    private const int ChecksumOffset = 12;

    /// <summary>The kind, as it is kept with blocks.</summary>
    public static CodecId Id => CodecId.Opaque;

    /// <summary>The name, for policies and figures.</summary>
    public static string Name => "opaque";

    /// <summary>Room that encoding a payload of this length needs.</summary>
    public static int MaxBytes(int payloadBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(payloadBytes);
        return checked(HeadBytes + payloadBytes + (Chunks(payloadBytes) * (sizeof(int) + OpaqueChunk.MostGrowth)));
    }

    /// <summary>Writes a payload to the start of <paramref name="destination"/>.</summary>
    /// <param name="payload">Any bytes.</param>
    /// <param name="destination">At least <see cref="MaxBytes"/>.</param>
    /// <param name="scratch">Working memory; says which instructions to use.</param>
    /// <returns>Bytes written; 0 when that saves less than a sixty-fourth: the payload is better kept as it is.</returns>
    public static int Encode(ReadOnlySpan<byte> payload, Span<byte> destination, CodecScratch scratch)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, MaxBytes(payload.Length));
        var most = payload.Length - (payload.Length / LeastGain) - 1;
        var chunks = Chunks(payload.Length);
        var at = HeadBytes + (chunks * sizeof(int));
        for (var chunk = 0; chunk < chunks; chunk++)
        {
            var written = OpaqueChunk.Encode(ChunkOf(payload, chunk), destination[at..], scratch);
            BinaryPrimitives.WriteInt32LittleEndian(destination[(HeadBytes + (chunk * sizeof(int)))..], written);
            at += written;
        }

        if (at > most)
        {
            return 0;
        }

        BinaryPrimitives.WriteUInt32LittleEndian(destination, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[4..], Version);
        BinaryPrimitives.WriteInt32LittleEndian(destination[8..], payload.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[ChecksumOffset..], Checksum(destination, chunks));
        return at;
    }

    /// <summary>How long the payload is that was written; false when the bytes do not begin as <see cref="Encode"/> begins.</summary>
    public static bool TryReadPayloadBytes(ReadOnlySpan<byte> encoded, out int payloadBytes)
    {
        payloadBytes = 0;
        if (encoded.Length < HeadBytes || BinaryPrimitives.ReadUInt32LittleEndian(encoded) != Magic
            || BinaryPrimitives.ReadUInt32LittleEndian(encoded[4..]) != Version)
        {
            return false;
        }

        payloadBytes = BinaryPrimitives.ReadInt32LittleEndian(encoded[8..]);
        return payloadBytes > 0;
    }

    /// <summary>Reads a payload back. All of <paramref name="encoded"/> is what was written; nothing in it is to be trusted.</summary>
    /// <param name="encoded">What <see cref="Encode"/> wrote.</param>
    /// <param name="payload">Exactly as long as the payload was.</param>
    /// <param name="scratch">Working memory; says which instructions to use.</param>
    /// <returns>False when the bytes are not ones of a payload of this length; it may then hold anything.</returns>
    public static bool TryDecode(ReadOnlySpan<byte> encoded, Span<byte> payload, CodecScratch scratch)
    {
        if (!TryReadPayloadBytes(encoded, out var bytes) || bytes != payload.Length)
        {
            return false;
        }

        var chunks = Chunks(bytes);
        var at = HeadBytes + (chunks * sizeof(int));
        if (encoded.Length < at || BinaryPrimitives.ReadUInt32LittleEndian(encoded[ChecksumOffset..]) != Checksum(encoded, chunks))
        {
            return false;
        }

        for (var chunk = 0; chunk < chunks; chunk++)
        {
            var length = BinaryPrimitives.ReadUInt32LittleEndian(encoded[(HeadBytes + (chunk * sizeof(int)))..]);
            if (length > (uint)(encoded.Length - at)
                || !OpaqueChunk.TryDecode(encoded.Slice(at, (int)length), ChunkOf(payload, chunk), scratch))
            {
                return false;
            }

            at += (int)length;
        }

        return at == encoded.Length;
    }

    private static int Chunks(int payloadBytes) => (int)(((long)payloadBytes + ChunkBytes - 1) / ChunkBytes);

    private static ReadOnlySpan<byte> ChunkOf(ReadOnlySpan<byte> payload, int chunk) =>
        payload.Slice(chunk * ChunkBytes, Math.Min(ChunkBytes, payload.Length - (chunk * ChunkBytes)));

    private static Span<byte> ChunkOf(Span<byte> payload, int chunk) =>
        payload.Slice(chunk * ChunkBytes, Math.Min(ChunkBytes, payload.Length - (chunk * ChunkBytes)));

    private static uint Checksum(ReadOnlySpan<byte> encoded, int chunks)
    {
        Span<uint> both = [Crc32C.Compute(encoded[4..ChecksumOffset]), Crc32C.Compute(encoded.Slice(HeadBytes, chunks * sizeof(int)))];
        return Crc32C.Compute(MemoryMarshal.AsBytes(both));
    }
}
