using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Memory;

namespace KvMesh.Cluster.Map;

/// <summary>
/// The locations of the blocks of one slot: open addressing with linear probing, one entry per block and node. Writers take the lock; readers
/// take none, inside the <see cref="ReaderGate"/>: an entry appears by the write of its location, and while entries are moved the version
/// is odd and readers look again. It grows by two fifths at seven tenths full, by itself and copied in order, so that no growth holds more
/// than this one slot up and the whole map never has to be rehashed.
/// </summary>
internal sealed class SlotTable(ReaderGate gate)
{
    /// <summary>One page.</summary>
    private const int MinEntries = 256;

    private readonly Lock _writing = new();
    private NativeArray<MapEntry>? _entries;
    private int _version;
    private int _count;
    private int _told;

    /// <summary>Counts what was said of blocks that nodes have.</summary>
    public int Told => Volatile.Read(ref _told);

    public int Count => Volatile.Read(ref _count);

    public long Bytes => Volatile.Read(ref _entries)?.Bytes ?? 0;

    /// <summary>Begins to fetch the place of a digest. Inside the gate.</summary>
    public void Prefetch(in KeyDigest digest)
    {
        if (Volatile.Read(ref _entries) is { } entries)
        {
            entries.Prefetch(HomeOf(MapEntry.LowOf(digest), entries.Count));
        }
    }

    /// <summary>Who holds the block, those with a copy in RAM first. Inside the gate.</summary>
    /// <param name="living">What is said of nodes that are 0 here does not count.</param>
    public BlockHolders Find(in KeyDigest digest, ReadOnlySpan<byte> living)
    {
        var wait = new SpinWait();
        while (true)
        {
            var version = Volatile.Read(ref _version);
            if ((version & 1) == 0 && Volatile.Read(ref _entries) is var entries)
            {
                var holders = entries is null ? default : Collect(entries, digest, living);
                Volatile.ReadBarrier();
                if (Volatile.Read(ref _version) == version)
                {
                    return holders;
                }
            }

            wait.SpinOnce(sleep1Threshold: -1);
        }
    }

    /// <summary>All who have a copy of the block, in no order, as far as there is room for them; what only a worker has is none. Inside the gate.</summary>
    public int FindAll(in KeyDigest digest, ReadOnlySpan<byte> living, Span<ushort> nodes)
    {
        var wait = new SpinWait();
        while (true)
        {
            var version = Volatile.Read(ref _version);
            if ((version & 1) == 0 && Volatile.Read(ref _entries) is var entries)
            {
                var count = entries is null ? 0 : CollectAll(entries, digest, living, nodes);
                Volatile.ReadBarrier();
                if (Volatile.Read(ref _version) == version)
                {
                    return count;
                }
            }

            wait.SpinOnce(sleep1Threshold: -1);
        }
    }

    /// <summary>Adds a location, or replaces what was known of the block at that node.</summary>
    /// <param name="living">A node that is 0 here is not written of. Looked at under the lock, so that a sweep that begins after its death finds all.</param>
    /// <param name="mayAdd">Whether the map has room for one more.</param>
    public SetOutcome Set(in KeyDigest digest, MapLocation location, ReadOnlySpan<byte> living, bool mayAdd)
    {
        lock (_writing)
        {
            if (living[location.Node] == 0)
            {
                return SetOutcome.Ignored;
            }

            Volatile.Write(ref _told, _told + 1);
            if (_entries is not null && Index(_entries, digest, location.Node) is var index and >= 0)
            {
                Volatile.Write(ref _entries[index].Location, location.Word);
                return SetOutcome.Replaced;
            }

            if (!mayAdd)
            {
                return SetOutcome.Refused;
            }

            if (_entries is null || (_count + 1) * 10L > _entries.Count * 7L)
            {
                Resize_NeedsLock(static _ => true, added: 1);
            }

            Add(_entries!, digest.High, MapEntry.LowOf(digest), location.Word);
            _count++;
            return SetOutcome.Added;
        }
    }

    /// <summary>Takes a location out. False when it was not there, or something was said since <see cref="Told"/> was <paramref name="unlessSince"/>.</summary>
    public bool Remove(in KeyDigest digest, ushort node, int? unlessSince = null)
    {
        lock (_writing)
        {
            if (_entries is null || (unlessSince is { } told && told != _told) || Index(_entries, digest, node) is not (var index and >= 0))
            {
                return false;
            }

            Interlocked.Increment(ref _version);
            CloseGap(_entries, index);
            Interlocked.Increment(ref _version);
            _count--;
            if (_entries.Count > MinEntries && _count * 4L < _entries.Count)
            {
                Resize_NeedsLock(static _ => true, added: 0);
            }

            return true;
        }
    }

    /// <summary>Takes all locations out that are not kept. Returns how many.</summary>
    public int Sweep(Func<MapLocation, bool> keep)
    {
        lock (_writing)
        {
            if (_entries is null || !HasAny(_entries, keep))
            {
                return 0;
            }

            var before = _count;
            Resize_NeedsLock(keep, added: 0);
            return before - _count;
        }
    }

    /// <summary>Visits every location. Under the lock: writers of this slot wait.</summary>
    public void Visit(Action<MapLocation> visit)
    {
        lock (_writing)
        {
            for (var index = 0; index < (_entries?.Count ?? 0); index++)
            {
                if (_entries![index].Location is var word and not 0)
                {
                    visit(new MapLocation(word));
                }
            }
        }
    }

    /// <summary>Forgets everything at once. Returns how many locations that were.</summary>
    public int Clear()
    {
        lock (_writing)
        {
            var before = _count;
            Replace_NeedsLock(null, 0);
            return before;
        }
    }

    private static BlockHolders Collect(NativeArray<MapEntry> entries, in KeyDigest digest, ReadOnlySpan<byte> living)
    {
        var inHost = default(BlockHolders);
        var elsewhere = default(BlockHolders);
        var low = MapEntry.LowOf(digest);
        var index = HomeOf(low, entries.Count);

        // Entries may move under this reader, so the bound is not the first free entry alone.
        for (var step = 0; step < entries.Count; step++)
        {
            ref var entry = ref entries[index];
            var word = Volatile.Read(ref entry.Location);
            if (word == 0)
            {
                break;
            }

            if (entry.High == digest.High && entry.Low == low && new MapLocation(word) is var location && living[location.Node] != 0)
            {
                if (location.IsInHost)
                {
                    inHost = inHost.With(location.Node);
                }
                else
                {
                    elsewhere = elsewhere.With(location.Node);
                }
            }

            index = index + 1 == entries.Count ? 0 : index + 1;
        }

        for (var rest = 0; rest < elsewhere.Count && inHost.Count < BlockHolders.Capacity; rest++)
        {
            inHost = inHost.With(elsewhere[rest]);
        }

        return inHost;
    }

    /// <summary>As <see cref="Collect"/>, which stays apart: it is what a match of a thousand blocks consists of.</summary>
    private static int CollectAll(NativeArray<MapEntry> entries, in KeyDigest digest, ReadOnlySpan<byte> living, Span<ushort> nodes)
    {
        var count = 0;
        var low = MapEntry.LowOf(digest);
        var index = HomeOf(low, entries.Count);
        for (var step = 0; step < entries.Count && count < nodes.Length; step++)
        {
            ref var entry = ref entries[index];
            var word = Volatile.Read(ref entry.Location);
            if (word == 0)
            {
                break;
            }

            if (entry.High == digest.High && entry.Low == low && new MapLocation(word) is var location && location.IsCopy && living[location.Node] != 0)
            {
                nodes[count++] = location.Node;
            }

            index = index + 1 == entries.Count ? 0 : index + 1;
        }

        return count;
    }

    private static int HomeOf(uint low, int count) => (int)(((ulong)low * (uint)count) >> 32);

    private static int Index(NativeArray<MapEntry> entries, in KeyDigest digest, ushort node)
    {
        var low = MapEntry.LowOf(digest);
        for (var index = HomeOf(low, entries.Count); entries[index].Location is var word and not 0; index = index + 1 == entries.Count ? 0 : index + 1)
        {
            if (entries[index].High == digest.High && entries[index].Low == low && new MapLocation(word).Node == node)
            {
                return index;
            }
        }

        return -1;
    }

    private static void Add(NativeArray<MapEntry> entries, ulong high, uint low, uint location)
    {
        var index = HomeOf(low, entries.Count);
        while (entries[index].Location != 0)
        {
            index = index + 1 == entries.Count ? 0 : index + 1;
        }

        ref var entry = ref entries[index];
        entry.High = high;
        entry.Low = low;
        Volatile.Write(ref entry.Location, location);
    }

    /// <summary>Frees an entry by moving those up that probing would no longer find behind a free one.</summary>
    private static void CloseGap(NativeArray<MapEntry> entries, int gap)
    {
        var index = gap;
        while (true)
        {
            index = index + 1 == entries.Count ? 0 : index + 1;
            if (entries[index].Location == 0)
            {
                break;
            }

            // It may move up when its home is not between the gap and itself.
            var home = HomeOf(entries[index].Low, entries.Count);
            var staysBehind = gap <= index ? gap < home && home <= index : gap < home || home <= index;
            if (!staysBehind)
            {
                entries[gap] = entries[index];
                gap = index;
            }
        }

        entries[gap] = default;
    }

    private static bool HasAny(NativeArray<MapEntry> entries, Func<MapLocation, bool> keep)
    {
        for (var index = 0; index < entries.Count; index++)
        {
            if (entries[index].Location is var word and not 0 && !keep(new MapLocation(word)))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Copies what is kept into a table of the right size. Readers use the old one until they find the new one.</summary>
    private void Resize_NeedsLock(Func<MapLocation, bool> keep, int added)
    {
        var old = _entries;
        var kept = 0;
        for (var index = 0; index < (old?.Count ?? 0); index++)
        {
            kept += old![index].Location is var word and not 0 && keep(new MapLocation(word)) ? 1 : 0;
        }

        if (kept + added == 0)
        {
            Replace_NeedsLock(null, 0);
            return;
        }

        // Half full: from here it holds two fifths more before it grows again.
        var wanted = Math.Max(MinEntries, ((kept + added) * 2 / MinEntries * MinEntries) + MinEntries);
        var entries = new NativeArray<MapEntry>(wanted);
        for (var index = 0; index < (old?.Count ?? 0); index++)
        {
            ref var entry = ref old![index];
            if (entry.Location != 0 && keep(new MapLocation(entry.Location)))
            {
                Add(entries, entry.High, entry.Low, entry.Location);
            }
        }

        Replace_NeedsLock(entries, kept);
    }

    private void Replace_NeedsLock(NativeArray<MapEntry>? entries, int count)
    {
        var old = _entries;
        Volatile.Write(ref _entries, entries);
        Volatile.Write(ref _count, count);
        if (old is not null)
        {
            gate.Retire(old);
        }
    }
}

/// <summary>What became of a location.</summary>
internal enum SetOutcome
{
    Added,
    Replaced,

    /// <summary>The map is full.</summary>
    Refused,

    /// <summary>The node has left.</summary>
    Ignored,
}
