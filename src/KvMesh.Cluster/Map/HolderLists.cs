using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Cluster.Map;

/// <summary>
/// Who holds each of many blocks, for whoever counts copies: <see cref="BlockHolders"/> names just as many as a reader needs. Nodes are numbers as there.
/// One thread.
/// </summary>
public sealed class HolderLists
{
    /// <summary>Holders of one block that are named at most: twice the copies that a pin may ask for, as some of them may be about to leave.</summary>
    public const int MaxNamed = LocateRequest.MaxNamed;

    private readonly ushort[][] _lists;
    private ushort[] _last = [];

    /// <param name="blocks">How many blocks are asked about. Nobody holds them so far.</param>
    public HolderLists(int blocks)
    {
        _lists = new ushort[blocks][];
        Array.Fill(_lists, _last);
    }

    public int Count => _lists.Length;

    public ReadOnlySpan<ushort> this[int block] => _lists[block];

    public void Set(int block, ReadOnlySpan<ushort> holders)
    {
        // Blocks of one chain mostly have the same holders.
        if (!holders.SequenceEqual(_last))
        {
            _last = holders.ToArray();
        }

        _lists[block] = _last;
    }

    /// <summary>As <see cref="Set(int, ReadOnlySpan{ushort})"/>, without one of them.</summary>
    public void Set(int block, ReadOnlySpan<ushort> holders, ushort except)
    {
        Span<ushort> others = stackalloc ushort[MaxNamed];
        var count = 0;
        foreach (var holder in holders)
        {
            if (holder != except)
            {
                others[count++] = holder;
            }
        }

        Set(block, others[..count]);
    }
}
