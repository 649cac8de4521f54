namespace KvMesh.Engine.Blocks;

/// <summary>Walks the index for iterations that span many calls. Any thread; takes no lock.</summary>
internal sealed class KeyScan(BlockRegistry registry)
{
    /// <summary>
    /// Visits blocks of a tenant from <paramref name="cursor"/> on and returns the next cursor, 0 at the end. A key that is present during the
    /// whole iteration is visited at least once.
    /// </summary>
    /// <param name="count">Blocks after which it stops at the next bucket.</param>
    /// <param name="places">Buckets that it looks at, at most.</param>
    public long Visit(Tenant tenant, long cursor, int count, int places, Action<Block> visit)
    {
        var index = registry.Index;
        var visited = 0;
        var first = (int)Math.Clamp(cursor, 0, index.BucketCount);
        for (var bucket = first; bucket < index.BucketCount; bucket++)
        {
            for (var block = index.Bucket(bucket); block is not null; block = Volatile.Read(ref block.Next))
            {
                if (block.Tenant != tenant)
                {
                    continue;
                }

                // One that was replaced, be it while it is looked at, is answered for by its successor, which has its place.
                if ((registry.IsVisible(block) ? block : registry.Find(tenant, block.Key)) is { } shown)
                {
                    visit(shown);
                    visited++;
                }
            }

            if (visited >= count || bucket - first >= places - 1)
            {
                return bucket + 1 == index.BucketCount ? 0 : bucket + 1;
            }
        }

        return 0;
    }
}
