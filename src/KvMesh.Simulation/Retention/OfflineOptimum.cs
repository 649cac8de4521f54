using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Retention;

/// <summary>
/// What no policy can exceed: Belady's rule with bypass, which knows the rest of the trace and keeps the blocks that are used again soonest (L. A.
/// Belady, "A study of replacement algorithms for a virtual-storage computer", 1966).
/// <para>
/// A parent is used whenever its child is, so its next use is never later; of blocks with the same next use the deepest is given up first. What is kept
/// is then always made of whole prefixes: the bound is reached by a cache that never gives up a parent before its child, and no cache with holes
/// can hit more. All blocks whose next use is one request are of one chain, and those that leave are its deepest, so a count for each future request is
/// all that need be known.
/// </para>
/// </summary>
internal sealed class OfflineOptimum(ChainedTrace trace, int[] nextUses, int capacity)
{
    /// <summary>No later request uses the block.</summary>
    private const int Never = int.MaxValue;

    private readonly int[] _kept = new int[trace.Requests];
    private readonly PriorityQueue<int, int> _latestFirst = new();
    private int _count;

    public long Hits { get; private set; }

    /// <summary>Hits of the whole trace with room for so many blocks.</summary>
    public static long HitsOf(ChainedTrace trace, int[] nextUses, int capacity)
    {
        var optimum = new OfflineOptimum(trace, nextUses, capacity);
        for (var request = 0; request < trace.Requests; request++)
        {
            optimum.Serve(request);
        }

        return optimum.Hits;
    }

    /// <summary>For every touch of the trace the request that uses its block next, or <see cref="int.MaxValue"/>.</summary>
    public static int[] NextUses(ChainedTrace trace)
    {
        var uses = new int[trace.Touches];
        var next = new int[trace.DistinctBlocks];
        Array.Fill(next, Never);
        for (var request = trace.Requests - 1; request >= 0; request--)
        {
            var chain = trace.ChainOf(request);
            var start = trace.StartOf(request);
            for (var index = 0; index < chain.Length; index++)
            {
                uses[start + index] = next[chain[index]];
                next[chain[index]] = request;
            }
        }

        return uses;
    }

    public void Serve(int request)
    {
        Hits += _kept[request];
        _count -= _kept[request];
        _kept[request] = 0;
        foreach (var next in nextUses.AsSpan(trace.StartOf(request), trace.ChainOf(request).Length))
        {
            // Next uses never come earlier along a chain.
            if (next == Never)
            {
                break;
            }

            if (_kept[next]++ == 0)
            {
                _latestFirst.Enqueue(next, -next);
            }

            _count++;
        }

        while (_count > capacity)
        {
            var latest = _latestFirst.Peek();
            var leaving = Math.Min(_count - capacity, _kept[latest]);
            _kept[latest] -= leaving;
            _count -= leaving;
            if (_kept[latest] == 0)
            {
                _latestFirst.Dequeue();
            }
        }
    }
}
