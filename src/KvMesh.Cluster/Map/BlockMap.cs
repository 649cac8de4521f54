using System.ComponentModel.DataAnnotations;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Map;

/// <summary>
/// Which nodes hold which blocks, as far as this node was told: one table per digest slot. Soft state: it may be forgotten at any time and
/// comes back from the nodes. Readers take no lock; writers of different slots do not meet. Any thread.
/// <para>
/// It is bounded by <see cref="BlockMapOptions.MaxLocations"/>. A full map keeps what it has and refuses new locations, which costs hits and
/// nothing else: what it holds is where blocks are, and forgetting one truth for another gains nothing. Feeds that were refused ask again when there is room.
/// </para>
/// </summary>
public sealed class BlockMap : IDisposable
{
    /// <summary>Look-ups whose memory is fetched ahead of their turn: as many as the processor can wait for at a time.</summary>
    private const int PrefetchDistance = 16;

    private readonly SlotTable[] _slots = new SlotTable[DigestSlots.Count];
    private readonly ReaderGate _gate = new();
    private readonly MapNodes _nodes = new();
    private readonly BlockMapOptions _options;
    private long _count;
    private long _refused;
    private long _changes;

    public BlockMap(BlockMapOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        for (var slot = 0; slot < _slots.Length; slot++)
        {
            _slots[slot] = new SlotTable(_gate);
        }
    }

    /// <summary>Blocks times the nodes that hold them, those of nodes that left and were not swept yet included.</summary>
    public long Locations => Interlocked.Read(ref _count);

    /// <summary>Bytes of memory that the tables take.</summary>
    public long Bytes => _slots.Sum(slot => slot.Bytes) + _gate.RetiredBytes;

    /// <summary>Locations that were not taken because the map was full.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    /// <summary>Changes that were applied.</summary>
    public long Changes => Interlocked.Read(ref _changes);

    public bool IsFull => Locations >= _options.MaxLocations;

    /// <summary>The number of a node's current run; 0 when it has none.</summary>
    public ushort NumberOf(NodeId node) => _nodes.NumberOf(node);

    public NodeRecord? RecordOf(ushort number) => _nodes.RecordOf(number);

    /// <summary>Gives the run of a node a number, the same as before if it is the same run. 0: 65,535 runs are known, and none was swept.</summary>
    public ushort Join(NodeRecord record) => _nodes.Join(record);

    /// <summary>Forgets all locations of a run at once. Their memory comes back with the next <see cref="Sweep()"/>.</summary>
    public void End(ushort number) => _nodes.End(number);

    /// <summary>A node has the block, or, where <paramref name="tiers"/> names neither RAM (1) nor disk (2), a worker of it. False when the map is full and does not know.</summary>
    public bool Set(in KeyDigest digest, ushort number, int tiers, long payloadBytes)
    {
        Interlocked.Increment(ref _changes);
        var location = new MapLocation(number, _nodes.MarkOf(number), tiers, payloadBytes);
        switch (_slots[DigestSlots.Of(digest)].Set(digest, location, _nodes.Living, mayAdd: !IsFull))
        {
            case SetOutcome.Added:
                Interlocked.Increment(ref _count);
                return true;
            case SetOutcome.Refused:
                Interlocked.Increment(ref _refused);
                return false;
            default:
                return true;
        }
    }

    /// <summary>A count of what was said of blocks that nodes have, in the slot of this one; see <see cref="Remove"/>.</summary>
    public int ToldOf(in KeyDigest digest) => _slots[DigestSlots.Of(digest)].Told;

    /// <summary>A node does not have the block. False when the map did not say so.</summary>
    /// <param name="unlessSince">
    /// What <see cref="ToldOf"/> was before the caller asked the node: what was said after that may be the later word, and stays. Null: nothing is later.
    /// </param>
    public bool Remove(in KeyDigest digest, ushort number, int? unlessSince = null)
    {
        Interlocked.Increment(ref _changes);
        var wasThere = _slots[DigestSlots.Of(digest)].Remove(digest, number, unlessSince);
        if (wasThere)
        {
            Interlocked.Decrement(ref _count);
        }

        return wasThere;
    }

    /// <summary>Who holds the block, <paramref name="except"/> apart.</summary>
    public BlockHolders Find(in KeyDigest digest, ushort except = 0)
    {
        var ticket = _gate.Enter();
        var holders = _slots[DigestSlots.Of(digest)].Find(digest, _nodes.Living);
        _gate.Leave(ticket);
        return holders.Without(except);
    }

    /// <summary>All who have a copy of the block, as far as there is room for them; what only a worker has may go with it, and is no copy. Returns how many.</summary>
    public int FindAll(in KeyDigest digest, Span<ushort> numbers)
    {
        var ticket = _gate.Enter();
        var count = _slots[DigestSlots.Of(digest)].FindAll(digest, _nodes.Living, numbers);
        _gate.Leave(ticket);
        return count;
    }

    /// <summary>
    /// Who holds each block up to the first that nobody holds. Returns how many that are.
    /// </summary>
    public int FindRun(ReadOnlySpan<KeyDigest> digests, Span<BlockHolders> holders, ushort except = 0)
    {
        var ticket = _gate.Enter();
        try
        {
            var living = _nodes.Living;
            for (var index = 0; index < Math.Min(PrefetchDistance, digests.Length); index++)
            {
                _slots[DigestSlots.Of(digests[index])].Prefetch(digests[index]);
            }

            for (var index = 0; index < digests.Length; index++)
            {
                if (index + PrefetchDistance < digests.Length)
                {
                    ref readonly var ahead = ref digests[index + PrefetchDistance];
                    _slots[DigestSlots.Of(ahead)].Prefetch(ahead);
                }

                holders[index] = _slots[DigestSlots.Of(digests[index])].Find(digests[index], living).Without(except);
                if (holders[index].IsEmpty)
                {
                    return index;
                }
            }

            return digests.Length;
        }
        finally
        {
            _gate.Leave(ticket);
        }
    }

    /// <summary>Who holds each block.</summary>
    public void FindEach(ReadOnlySpan<KeyDigest> digests, Span<BlockHolders> holders, ushort except = 0)
    {
        var ticket = _gate.Enter();
        foreach (ref readonly var digest in digests)
        {
            _slots[DigestSlots.Of(digest)].Prefetch(digest);
        }

        for (var index = 0; index < digests.Length; index++)
        {
            holders[index] = _slots[DigestSlots.Of(digests[index])].Find(digests[index], _nodes.Living).Without(except);
        }

        _gate.Leave(ticket);
    }

    /// <summary>A list of all that a node has is about to be applied with <see cref="Set"/>.</summary>
    public void BeginSnapshot(ushort number) => _nodes.NextMark(number);

    /// <summary>The list is complete: what the map said of the node in these slots before, and nobody said since, goes.</summary>
    public void EndSnapshot(ushort number, SlotSet slots)
    {
        ArgumentNullException.ThrowIfNull(slots);
        var mark = _nodes.MarkOf(number);
        Sweep(slots, location => location.Node != number || location.Mark == mark);
    }

    /// <summary>Forgets slots that this node is no directory for any more.</summary>
    public void Forget(SlotSet slots)
    {
        ArgumentNullException.ThrowIfNull(slots);
        for (var slot = 0; slot < _slots.Length; slot++)
        {
            if (slots.Contains(slot))
            {
                Interlocked.Add(ref _count, -_slots[slot].Clear());
            }
        }
    }

    /// <summary>Takes the memory of nodes back that left, and lets their numbers be used again. Once in a while, one thread.</summary>
    public void Sweep()
    {
        var dead = _nodes.TakeDead();
        if (dead.Count > 0)
        {
            Sweep(SlotSet.All(), location => !dead.Contains(location.Node));
            _nodes.Release(dead);
        }

        _gate.Advance();
    }

    /// <summary>Locations of each living node.</summary>
    public IReadOnlyDictionary<NodeId, long> CountByNode()
    {
        var counts = new Dictionary<NodeId, long>();
        foreach (var slot in _slots)
        {
            slot.Visit(location =>
            {
                if (_nodes.RecordOf(location.Node) is { } record)
                {
                    counts[record.Id] = counts.GetValueOrDefault(record.Id) + 1;
                }
            });
        }

        return counts;
    }

    /// <summary>Gives the memory back. Who still asks is told that nobody holds anything.</summary>
    public void Dispose() => Forget(SlotSet.All());

    private void Sweep(SlotSet slots, Func<MapLocation, bool> keep)
    {
        for (var slot = 0; slot < _slots.Length; slot++)
        {
            if (slots.Contains(slot))
            {
                Interlocked.Add(ref _count, -_slots[slot].Sweep(keep));
            }
        }
    }
}

/// <summary>Options of the block map.</summary>
public sealed class BlockMapOptions
{
    /// <summary>Most locations (blocks times their holders) that the map takes. 21 to 33 bytes of memory each. Default 64 M: 2 GiB when full.</summary>
    [Range(1024, 4L << 30)]
    public long MaxLocations { get; set; } = 64L << 20;
}
