using KvMesh.Protocol;

namespace KvMesh.Engine.Blocks;

/// <summary>
/// Finds how far a chain of keys is here without a gap. A parent never leaves before its child, so where nothing has torn a
/// hole it gallops: about two probes per doubling instead of one per block. The depth of the last block proves that its
/// ancestors are there; where it does not, or holes or blocks with an expiry are known, every block is confirmed.
/// </summary>
internal sealed class PrefixMatcher(BlockRegistry registry)
{
    /// <param name="losslessOnly">Whether a block that has lost something counts as missing; what stands before it says nothing of what it has lost.</param>
    public int Match(Tenant tenant, KeyRun keys, bool losslessOnly, out Block? deepest)
    {
        Span<byte> key = stackalloc byte[Limits.MaxKeyBytes];
        key = key[..keys.KeyBytes];
        deepest = null;
        if (keys.Count == 0)
        {
            return 0;
        }

        if (!losslessOnly && !tenant.Chains.MayHaveGaps)
        {
            var matched = Gallop(tenant, keys, key, out deepest);
            if (matched == 0 || (DepthOf(deepest!) == matched && !tenant.Chains.MayHaveGaps))
            {
                return matched;
            }
        }

        return Walk(tenant, keys, key, losslessOnly, out deepest);
    }

    private static int DepthOf(Block block) => block.Chain?.Depth() ?? 1;

    private int Gallop(Tenant tenant, KeyRun keys, Span<byte> key, out Block? deepest)
    {
        // A request that comes back asks for what it has: the last block answers for all.
        deepest = Probe(tenant, keys, keys.Count - 1, key);
        if (deepest is not null)
        {
            return keys.Count;
        }

        deepest = Probe(tenant, keys, 0, key);
        if (deepest is null)
        {
            return 0;
        }

        // Invariant: block `low` is here; block `high` is not.
        var low = 0;
        var high = keys.Count - 1;
        for (var step = 1; low + step < high; step *= 2)
        {
            if (Probe(tenant, keys, low + step, key) is not { } block)
            {
                high = low + step;
                break;
            }

            low += step;
            deepest = block;
        }

        while (high - low > 1)
        {
            var middle = low + ((high - low) / 2);
            if (Probe(tenant, keys, middle, key) is { } block)
            {
                low = middle;
                deepest = block;
            }
            else
            {
                high = middle;
            }
        }

        return low + 1;
    }

    private int Walk(Tenant tenant, KeyRun keys, Span<byte> key, bool losslessOnly, out Block? deepest)
    {
        deepest = null;
        for (var index = 0; index < keys.Count; index++)
        {
            if (Probe(tenant, keys, index, key) is not { } block || (losslessOnly && block.Loss is not null))
            {
                return index;
            }

            deepest = block;
        }

        return keys.Count;
    }

    private Block? Probe(Tenant tenant, KeyRun keys, int index, Span<byte> key)
    {
        keys.CopyKey(index, key);
        return registry.Find(tenant, key);
    }
}
