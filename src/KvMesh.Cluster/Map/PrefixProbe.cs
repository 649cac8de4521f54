using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace KvMesh.Cluster.Map;

/// <summary>
/// Finds how long a prefix is by asking about a few of its blocks a round, where asking costs a round trip, or a wait for memory: of 1,000 random
/// places in a large map each is far. It relies on what every node
/// keeps to: no block is let go before those that follow it. So a block that is held tells that all before it are, and who holds it
/// holds those too. Where that is not so, a reader has a miss. 1,000 blocks take at most two rounds, 4,096 three. Pure.
/// </summary>
public ref struct PrefixProbe
{
    /// <summary>Blocks that are asked about in one round.</summary>
    public const int ProbesPerRound = 32;

    private readonly Span<BlockHolders> _holders;
    private Chosen _chosen;
    private int _count;
    private int _held;
    private int _missing;

    /// <param name="count">Blocks of the chain.</param>
    /// <param name="holders">Receives who holds each of them.</param>
    public PrefixProbe(int count, Span<BlockHolders> holders)
    {
        _holders = holders[..count];
        _holders.Clear();
        _missing = count;
    }

    /// <summary>Rounds that were answered.</summary>
    public int Rounds { get; private set; }

    /// <summary>The blocks to ask about next, ascending; none when the length of the prefix is known.</summary>
    [UnscopedRef]
    public ReadOnlySpan<int> Next()
    {
        _count = _held < _missing ? Choose(_held, _missing, _chosen) : 0;
        return ((ReadOnlySpan<int>)_chosen)[.._count];
    }

    /// <summary>Takes who holds the blocks that were asked about, in their order.</summary>
    public void Take(scoped ReadOnlySpan<BlockHolders> answers)
    {
        Rounds++;
        for (var probe = 0; probe < _count; probe++)
        {
            if (answers[probe].IsEmpty)
            {
                _missing = _chosen[probe];
                return;
            }

            _holders[_chosen[probe]] = answers[probe];
            _held = _chosen[probe] + 1;
        }
    }

    /// <summary>How many blocks are held from the first on, as far as is known by now. Fills in the holders of those that were not asked about.</summary>
    public readonly int Finish()
    {
        Infer(_holders[.._held]);
        return _held;
    }

    /// <summary>The first and the last block of the gap and others evenly between; all of a small gap.</summary>
    private static int Choose(int held, int missing, Span<int> blocks)
    {
        var gap = missing - held;
        var count = Math.Min(gap, blocks.Length);
        blocks[0] = held;
        for (var probe = 1; probe < count; probe++)
        {
            blocks[probe] = held + (int)((long)probe * (gap - 1) / (count - 1));
        }

        return count;
    }

    /// <summary>
    /// Who holds the next block that was asked about holds those before it too; and where a chain is spread in pieces, who holds the last one
    /// that was asked about may.
    /// </summary>
    private static void Infer(Span<BlockHolders> holders)
    {
        var from = 0;
        for (var block = 0; block < holders.Length; block++)
        {
            if (holders[block].IsEmpty)
            {
                continue;
            }

            var between = holders[block];
            for (var holder = 0; from > 0 && holder < holders[from - 1].Count; holder++)
            {
                between = between.Contains(holders[from - 1][holder]) ? between : between.With(holders[from - 1][holder]);
            }

            holders[from..block].Fill(between);
            from = block + 1;
        }
    }

    [InlineArray(ProbesPerRound)]
    private struct Chosen
    {
        private int _first;
    }
}
