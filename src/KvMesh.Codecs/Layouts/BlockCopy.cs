namespace KvMesh.Codecs.Layouts;

/// <summary>
/// Moves rows between parts of one block, whatever their layers, heads, tokens and orders: slicing, putting together, sharding anew and
/// changing the order of keys and values are all this one copy.
/// </summary>
public static class BlockCopy
{
    /// <summary>Copies every row that both parts have, and returns how many bytes that were.</summary>
    /// <param name="from">Where rows lie in <paramref name="source"/>.</param>
    /// <param name="source">Exactly the bytes of <paramref name="from"/>.</param>
    /// <param name="to">Where rows shall lie in <paramref name="destination"/>; of the same layout.</param>
    /// <param name="destination">Exactly the bytes of <paramref name="to"/>; must not overlap the source.</param>
    /// <exception cref="ArgumentException">Layouts differ, or lengths are not those of the parts.</exception>
    public static long Copy(BlockGeometry from, ReadOnlySpan<byte> source, BlockGeometry to, Span<byte> destination)
    {
        if (!from.Layout.Equals(to.Layout))
        {
            throw new ArgumentException("the parts have different layouts.");
        }

        if (source.Length != from.Bytes || destination.Length != to.Bytes)
        {
            throw new ArgumentException($"parts of {from.Bytes} and {to.Bytes} bytes are given as {source.Length} and {destination.Length}.");
        }

        long copied = 0;
        foreach (ref readonly var target in to.Planes.AsSpan())
        {
            var index = from.IndexOf(target.Layer, target.Shape.Kind);
            if (index >= 0)
            {
                copied += CopyPlane(from, from.Planes.AsSpan()[index], source, to, target, destination);
            }
        }

        return copied;
    }

    /// <summary>Puts a block that <paramref name="sources"/> hold by tensor-parallel rank into parts by another number of ranks.</summary>
    /// <exception cref="ArgumentException">A target is not wholly held by the sources.</exception>
    public static void Reshard(
        IReadOnlyList<(BlockGeometry Geometry, ReadOnlyMemory<byte> Bytes)> sources, IReadOnlyList<(BlockGeometry Geometry, Memory<byte> Bytes)> targets)
    {
        foreach (var (geometry, bytes) in targets)
        {
            long copied = 0;
            foreach (var source in sources)
            {
                copied += Copy(source.Geometry, source.Bytes.Span, geometry, bytes.Span);
            }

            // Ranks that hold the same head each bring it, so more may be copied than there is.
            if (copied < geometry.Bytes)
            {
                throw new ArgumentException($"the sources hold {copied} of {geometry.Bytes} bytes of a part.");
            }
        }
    }

    private static long CopyPlane(
        BlockGeometry from, in PlaneGeometry read, ReadOnlySpan<byte> source, BlockGeometry to, in PlaneGeometry write, Span<byte> destination)
    {
        var firstHead = Math.Max(read.FirstHead, write.FirstHead);
        var heads = Math.Min(read.FirstHead + read.HeadCount, write.FirstHead + write.HeadCount) - firstHead;
        var perToken = read.Shape.IsPerToken;
        var firstToken = perToken ? Math.Max(from.Region.FirstToken, to.Region.FirstToken) : 0;
        var lastToken = Math.Min(from.Region.FirstToken + from.Region.TokenCount, to.Region.FirstToken + to.Region.TokenCount);
        var tokens = perToken ? lastToken - firstToken : 1;
        if (heads <= 0 || tokens <= 0)
        {
            return 0;
        }

        var readAt = read.RowOffset(firstHead - read.FirstHead, perToken ? firstToken - from.Region.FirstToken : 0);
        var writeAt = write.RowOffset(firstHead - write.FirstHead, perToken ? firstToken - to.Region.FirstToken : 0);
        var row = read.Shape.RowBytes;
        var headsJoin = heads == 1 || (read.HeadStride == row && write.HeadStride == row);
        if (headsJoin)
        {
            CopyRuns(source[readAt..], read.TokenStride, destination[writeAt..], write.TokenStride, row * heads, tokens);
        }
        else
        {
            for (var head = 0; head < heads; head++)
            {
                CopyRuns(
                    source[(readAt + (head * read.HeadStride))..], read.TokenStride,
                    destination[(writeAt + (head * write.HeadStride))..], write.TokenStride, row, tokens);
            }
        }

        return (long)heads * tokens * row;
    }

    private static void CopyRuns(ReadOnlySpan<byte> source, int sourceStride, Span<byte> destination, int destinationStride, int run, int count)
    {
        if (sourceStride == run && destinationStride == run)
        {
            source[..(run * count)].CopyTo(destination);
            return;
        }

        for (var index = 0; index < count; index++)
        {
            source.Slice(index * sourceStride, run).CopyTo(destination.Slice(index * destinationStride, run));
        }
    }
}
