using System.Diagnostics;

namespace KvMesh.Cluster.Map;

/// <summary>
/// Up to four nodes that hold one block, those that have it in RAM first. Nodes are numbers of this process, one per run of a node and
/// never 0; <see cref="IBlockLocator.NodeOf"/> tells who it is.
/// </summary>
public readonly record struct BlockHolders
{
    /// <summary>Holders that are named at most: a reader that splits a pull or hedges it needs no more.</summary>
    public const int Capacity = 4;

    private const int NumberBits = 16;

    private readonly ulong _numbers;

    private BlockHolders(ulong numbers) => _numbers = numbers;

    public int Count => (64 - System.Numerics.BitOperations.LeadingZeroCount(_numbers) + NumberBits - 1) / NumberBits;

    public bool IsEmpty => _numbers == 0;

    /// <summary>Number of the holder at <paramref name="index"/>, which is below <see cref="Count"/>.</summary>
    public ushort this[int index]
    {
        get
        {
            Debug.Assert(index < Count, "there are not that many holders");
            return (ushort)(_numbers >> (index * NumberBits));
        }
    }

    /// <summary>These holders and one more behind them; the same when there is no room.</summary>
    public BlockHolders With(ushort holder)
    {
        Debug.Assert(holder != 0, "0 is no node");
        var count = Count;
        return count == Capacity ? this : new BlockHolders(_numbers | ((ulong)holder << (count * NumberBits)));
    }

    /// <summary>These holders but one.</summary>
    public BlockHolders Without(ushort holder)
    {
        if (holder == 0 || !Contains(holder))
        {
            return this;
        }

        var rest = default(BlockHolders);
        for (var index = 0; index < Count; index++)
        {
            rest = this[index] == holder ? rest : rest.With(this[index]);
        }

        return rest;
    }

    public bool Contains(ushort holder)
    {
        for (var numbers = _numbers; numbers != 0; numbers >>= NumberBits)
        {
            if ((ushort)numbers == holder)
            {
                return true;
            }
        }

        return false;
    }
}
