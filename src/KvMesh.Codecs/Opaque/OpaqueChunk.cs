using System.Buffers.Binary;
using KvMesh.Codecs.Blocks;

namespace KvMesh.Codecs.Opaque;

/// <summary>
/// One chunk: u8 0 and its bytes as they are; or u8 <see cref="WordShape"/>, then each plane as u32 bytes and these bytes, and at the end what
/// is less than a word.
/// </summary>
internal static class OpaqueChunk
{
    /// <summary>Most bytes by which a chunk grows before it is given up.</summary>
    public const int MostGrowth = 1 + (WordPlanes.MostPlanes * (sizeof(uint) + 1));

    private const byte AsItIs = 0;

    private const int PlanesSlot = 0;
    private const int WorkSlot = 1;

    public static int Encode(ReadOnlySpan<byte> chunk, Span<byte> destination, CodecScratch scratch)
    {
        var shape = ShapeChoice.Of(chunk);
        var count = WordPlanes.CountOf(shape);
        var whole = chunk.Length / count * count;
        var planeBytes = whole / count;
        var planes = scratch.Rent<byte>(PlanesSlot, whole);
        WordPlanes.Split(shape, chunk[..whole], planes, scratch.Rent<byte>(WorkSlot, whole), scratch.Level);
        destination[0] = (byte)shape;
        var at = 1;
        for (var plane = 0; plane < count; plane++)
        {
            var bytes = BytePlane.Encode(planes.Slice(plane * planeBytes, planeBytes), destination[(at + sizeof(uint))..], scratch);
            BinaryPrimitives.WriteInt32LittleEndian(destination[at..], bytes);
            at += sizeof(uint) + bytes;
        }

        chunk[whole..].CopyTo(destination[at..]);
        at += chunk.Length - whole;
        if (at <= chunk.Length)
        {
            return at;
        }

        destination[0] = AsItIs;
        chunk.CopyTo(destination[1..]);
        return 1 + chunk.Length;
    }

    public static bool TryDecode(ReadOnlySpan<byte> source, Span<byte> chunk, CodecScratch scratch)
    {
        if (source.IsEmpty)
        {
            return false;
        }

        var shape = (WordShape)source[0];
        source = source[1..];
        if (shape == AsItIs)
        {
            return source.Length == chunk.Length && source.TryCopyTo(chunk);
        }

        if (shape > WordShape.TurnedDoubleWords)
        {
            return false;
        }

        var count = WordPlanes.CountOf(shape);
        var whole = chunk.Length / count * count;
        var planeBytes = whole / count;
        var planes = count == 1 ? chunk : scratch.Rent<byte>(PlanesSlot, whole);
        for (var plane = 0; plane < count; plane++)
        {
            if (source.Length < sizeof(uint))
            {
                return false;
            }

            var bytes = BinaryPrimitives.ReadUInt32LittleEndian(source);
            source = source[sizeof(uint)..];
            if (bytes > (uint)source.Length || !BytePlane.TryDecode(source[..(int)bytes], planes.Slice(plane * planeBytes, planeBytes), scratch))
            {
                return false;
            }

            source = source[(int)bytes..];
        }

        if (count > 1)
        {
            WordPlanes.Join(shape, planes, chunk[..whole], scratch.Rent<byte>(WorkSlot, whole), scratch.Level);
        }

        return source.Length == chunk.Length - whole && source.TryCopyTo(chunk[whole..]);
    }
}
