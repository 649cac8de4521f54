using System.Runtime.InteropServices;

namespace KvMesh.Codecs.Layouts;

/// <summary>Reorders the rotating channels of keys between the two styles. The same numbers in other places: nothing is rounded.</summary>
public static class RopeStyleConversion
{
    /// <summary>Converts the keys of a part in place, from the style of its layout to the other one.</summary>
    /// <returns>The layout of the result.</returns>
    /// <exception cref="ArgumentException">The layout has no rope, or the bytes are not those of the part.</exception>
    public static KvLayout ToOtherStyle(BlockGeometry geometry, Span<byte> block)
    {
        var rope = geometry.Layout.Rope ?? throw new ArgumentException("the layout does not rotate keys.");
        if (block.Length != geometry.Bytes)
        {
            throw new ArgumentException($"a part of {geometry.Bytes} bytes is given as {block.Length}.");
        }

        var other = rope.Style == RopeStyle.Half ? RopeStyle.Interleaved : RopeStyle.Half;
        var sources = SourceChannels(rope, other);
        Span<byte> copy = stackalloc byte[sources.Length * sizeof(ushort)];
        foreach (ref readonly var plane in geometry.Planes.AsSpan())
        {
            if (plane.Shape.Kind is not (PlaneKind.Key or PlaneKind.LatentRope))
            {
                continue;
            }

            for (var head = 0; head < plane.HeadCount; head++)
            {
                for (var token = 0; token < geometry.Region.TokenCount; token++)
                {
                    var row = block.Slice(plane.RowOffset(head, token), sources.Length * plane.Shape.Element.Bytes());
                    row.CopyTo(copy);
                    Permute(copy[..row.Length], row, sources, plane.Shape.Element.Bytes());
                }
            }
        }

        return geometry.Layout.With(style: other);
    }

    /// <summary>For each rotating channel of <paramref name="to"/>, the channel it has in the style of <paramref name="rope"/>.</summary>
    private static int[] SourceChannels(RopeSpec rope, RopeStyle to)
    {
        var target = rope with { Style = to };
        var sources = new int[rope.RotaryChannels];
        for (var pair = 0; pair < sources.Length / 2; pair++)
        {
            var (first, second) = rope.Pair(pair);
            var (newFirst, newSecond) = target.Pair(pair);
            sources[newFirst] = first;
            sources[newSecond] = second;
        }

        return sources;
    }

    private static void Permute(ReadOnlySpan<byte> from, Span<byte> to, ReadOnlySpan<int> sources, int elementBytes)
    {
        if (elementBytes == 1)
        {
            for (var channel = 0; channel < sources.Length; channel++)
            {
                to[channel] = from[sources[channel]];
            }

            return;
        }

        var read = MemoryMarshal.Cast<byte, ushort>(from);
        var write = MemoryMarshal.Cast<byte, ushort>(to);
        for (var channel = 0; channel < sources.Length; channel++)
        {
            write[channel] = read[sources[channel]];
        }
    }
}
