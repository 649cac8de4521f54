using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.Host;

/// <summary>
/// Raw extents of one tenant that need not stay: *shadows*, whose block lies encoded in the same arena too, and those of blocks that wait to be
/// encoded. Each in the order in which it came, a shadow that was used since then once more. Any thread; its lock is the last one taken.
/// </summary>
/// <param name="encodes">Whether blocks are encoded here; if not none waits.</param>
internal sealed class RawExtents(bool encodes)
{
    /// <summary>Shadows looked at for one that may go now: the others are being read, or were used since they came.</summary>
    private const int MaxLooked = 256;

    private readonly Lock _lock = new();
    private readonly LinkedList<RawPlace> _waiting = new();
    private readonly LinkedList<RawPlace> _shadows = new();

    /// <summary>Bytes of the extent that the last encoding took: about what the next one takes.</summary>
    public long EncodedBytes { get; set; }

    public int Waiting => _waiting.Count;

    public int Shadows => _shadows.Count;

    /// <summary>The block is in RAM as it is, and nobody has said yet whether it is to be encoded.</summary>
    public void AddWaiting(Block block)
    {
        if (encodes)
        {
            Add(_waiting, block);
        }
    }

    /// <summary>The block lies encoded beside its raw extent.</summary>
    public void AddShadow(Block block) => Add(_shadows, block);

    public void Remove(Block block)
    {
        lock (_lock)
        {
            if (block.RawPlace is { List: not null } place)
            {
                place.List.Remove(place);
            }
        }
    }

    /// <summary>The block that waits longest, which waits no more; null: none does.</summary>
    public Block? TakeWaiting()
    {
        lock (_lock)
        {
            if (_waiting.First is not { } first)
            {
                return null;
            }

            _waiting.Remove(first);
            return first.Value.Block;
        }
    }

    /// <summary>The next block whose raw extent goes, claimed; null: none may now.</summary>
    public Block? TakeShadow()
    {
        lock (_lock)
        {
            for (var looked = Math.Min(2 * _shadows.Count, MaxLooked); looked > 0 && _shadows.Count > 0; looked--)
            {
                var first = _shadows.First!;
                var (block, lastUse) = first.Value;
                _shadows.RemoveFirst();
                if (block.LastUse == lastUse && block.TryClaim(resident: true))
                {
                    return block;
                }

                if (!block.IsResident)
                {
                    // It went before it came here. When it has a raw extent again it comes again.
                    continue;
                }

                first.Value = new RawPlace(block, block.LastUse);
                _shadows.AddLast(first);
            }

            return null;
        }
    }

    private void Add(LinkedList<RawPlace> list, Block block)
    {
        lock (_lock)
        {
            if (block.IsDead)
            {
                // Whoever ended it takes it out of here after that.
                return;
            }

            var place = block.RawPlace ??= new LinkedListNode<RawPlace>(default);
            place.List?.Remove(place);
            place.Value = new RawPlace(block, block.LastUse);
            list.AddLast(place);
        }
    }
}

/// <summary>A raw extent that need not stay, and when its block was used last before it came.</summary>
internal readonly record struct RawPlace(Block Block, long LastUse);
