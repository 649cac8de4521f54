using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Nodes;

/// <summary>
/// Puts blocks that only this node has into runs in the order of their chains, so that whoever takes one can match what it took. One thread.
/// </summary>
internal sealed class LeavingRuns(INodeBlocks blocks)
{
    /// <summary>Ends of chains that are kept; others come when these are gone.</summary>
    private const int MaxTails = 4096;

    private readonly List<(string Tenant, LocalBlock Block)> _tails = [];
    private readonly List<(string Tenant, LocalBlock Block)> _others = [];

    public void Add(string tenant, List<LocalBlock> alone)
    {
        foreach (var block in alone)
        {
            var list = block.IsFollowed ? _others : _tails;
            if (list.Count < MaxTails)
            {
                list.Add((tenant, block));
            }
        }
    }

    /// <summary>Runs of the chains that end with the blocks, without what others hold by now.</summary>
    /// <param name="alone">Those of a tenant's blocks that nobody else holds.</param>
    public IReadOnlyList<LeavingRun> Build(int most, Func<(string Tenant, List<LocalBlock> Blocks), List<LocalBlock>> alone)
    {
        var runs = new List<LeavingRun>();
        var taken = new HashSet<(string, string)>();
        foreach (var (tenant, tail) in _tails.Concat(_others))
        {
            if (runs.Count == most)
            {
                break;
            }

            if (taken.Contains((tenant, Convert.ToHexString(tail.Key.Span))))
            {
                continue;
            }

            var keys = new List<ReadOnlyMemory<byte>>();
            blocks.ListChain(tenant, tail.Key.Span, PlacementLimits.MaxRunBlocks, keys);
            var chain = keys.Where(key => taken.Add((tenant, Convert.ToHexString(key.Span))))
                .Select(key => (Key: key, IsHere: blocks.TryFind(tenant, key.Span, out var bytes), Bytes: bytes))
                .Where(block => block.IsHere)
                .Select(block => new LocalBlock(block.Key, block.Bytes, IsFollowed: true))
                .ToList();
            var left = alone((tenant, chain));
            var count = left.Count == 0 ? 0 : PlacementKeys.CountThatFits(left.ConvertAll(block => block.Key));
            if (count > 0)
            {
                runs.Add(new LeavingRun(tenant, left.Take(count).Sum(block => block.Bytes), [.. left.Take(count).Select(block => block.Key)]));
            }
        }

        return Merge(runs);
    }

    /// <summary>Single blocks of a tenant, as those of opaque keys, go together: an order for each would be one call for each.</summary>
    private static List<LeavingRun> Merge(List<LeavingRun> runs)
    {
        var merged = new List<LeavingRun>();
        foreach (var run in runs)
        {
            if (merged.Count > 0 && merged[^1] is var last && last.Tenant == run.Tenant && last.Keys.Count + run.Keys.Count <= 64)
            {
                merged[^1] = new LeavingRun(run.Tenant, last.Bytes + run.Bytes, [.. last.Keys, .. run.Keys]);
            }
            else
            {
                merged.Add(run);
            }
        }

        return merged;
    }
}
