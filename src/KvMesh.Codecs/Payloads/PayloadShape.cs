using System.Buffers.Binary;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Payloads;

/// <summary>
/// A layout that only the writer of a block described: layers that are all alike. 8 bytes, little endian: u16 layers, u16 heads (0: one latent row), u16
/// channels, u16 zero. The default value: the layout has a name.
/// </summary>
/// <param name="Layers">Layers of the layout.</param>
/// <param name="Heads">Heads of each; 0: a latent row and its rotated part.</param>
/// <param name="Channels">Channels of each head, or of latent and rotated part together.</param>
public readonly record struct PayloadShape(int Layers, int Heads, int Channels)
{
    /// <summary>Rotated channels of a latent row: every published model has as many.</summary>
    private const int LatentRopeChannels = 64;

    private const int Bytes = 8;

    public bool IsNone => Layers == 0;

    /// <summary>The layout; null when there is none of this shape. Its blocks are full with <paramref name="tokens"/>.</summary>
    public KvLayout? ToLayout(KvElement element, int tokens)
    {
        try
        {
            return IsNone ? null : new KvLayout(element, tokens, Enumerable.Repeat(ToLayer(), Layers));
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    internal static bool TryRead(ReadOnlySpan<byte> source, out PayloadShape shape)
    {
        shape = new PayloadShape(
            BinaryPrimitives.ReadUInt16LittleEndian(source), BinaryPrimitives.ReadUInt16LittleEndian(source[2..]), BinaryPrimitives.ReadUInt16LittleEndian(source[4..]));
        return BinaryPrimitives.ReadUInt16LittleEndian(source[6..Bytes]) == 0
            && (shape == default || (shape.Layers is > 0 and <= KvLayout.MaxLayers && shape.Channels > 0));
    }

    internal void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(destination, (ushort)Layers);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[2..], (ushort)Heads);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[4..], (ushort)Channels);
    }

    private LayerLayout ToLayer() =>
        Heads == 0 ? LayerLayout.Latent(Channels - LatentRopeChannels, LatentRopeChannels) : LayerLayout.Full(Heads, Channels);
}
