using System.Numerics;

namespace KvMesh.Engine.Advice;

/// <summary>
/// The sampled blocks of an arena in the order of their last use, after SHARDS (Waldspurger et al., FAST 2015): a block is in the sample if the hash
/// of its key is below a limit, and the limit is halved when the sample is full, sooner while many are sampled. Everything has a fixed size; nothing is allocated
/// after construction. One caller at a time.
/// </summary>
internal sealed class ReuseSample
{
    /// <summary>
    /// Blocks that are enough while more than one in <see cref="CheapOneIn"/> is sampled: working sets so small that every touch would be sampled else, each under the
    /// lock of whoever calls.
    /// </summary>
    public const int DearBlocks = 2048;
    public const int CheapOneIn = 32;

    private readonly int _capacity;
    private readonly int _dearBlocks;

    /// <summary>Of each entry: hash of its key, and its time of last use; of a free one, the time is the next free entry.</summary>
    private readonly ulong[] _hashes;
    private readonly int[] _times;

    /// <summary>Entry + 1 by hash, with linear probing, at most half full; 0 is empty.</summary>
    private readonly int[] _table;

    /// <summary>Entry + 1 by time of last use; 0 is none.</summary>
    private readonly int[] _used;

    /// <summary>Bytes of the entry that was used last at each time.</summary>
    private readonly TimedBytes _bytes;

    private ulong _limit = ulong.MaxValue;
    private int _free;
    private int _now;

    /// <param name="capacity">Most blocks in the sample: a power of two. 36 bytes each are taken at once.</param>
    /// <param name="dearBlocks">Most while more than one in <see cref="CheapOneIn"/> is sampled.</param>
    public ReuseSample(int capacity, int dearBlocks = DearBlocks)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 2);
        if (!BitOperations.IsPow2(capacity))
        {
            throw new ArgumentOutOfRangeException(nameof(capacity), capacity, "It must be a power of two.");
        }

        _capacity = capacity;
        _dearBlocks = Math.Min(capacity, dearBlocks);
        _hashes = new ulong[capacity];
        _times = new int[capacity];
        _table = new int[2 * capacity];
        _used = new int[2 * capacity];
        _bytes = new TimedBytes(2 * capacity);
        for (var entry = 0; entry < capacity; entry++)
        {
            _times[entry] = entry + 1;
        }
    }

    /// <summary>Blocks in the sample.</summary>
    public int Count { get; private set; }

    /// <summary>Blocks that it may have at this rate.</summary>
    private int Room => _limit > ulong.MaxValue / CheapOneIn ? _dearBlocks : _capacity;

    /// <summary>Share of all blocks that are sampled, above 0 and at most 1.</summary>
    public double Rate => 1 / Weight;

    /// <summary>Blocks that a sampled one stands for.</summary>
    public double Weight { get; private set; } = 1;

    /// <summary>Bytes of its arrays.</summary>
    public long MemoryBytes => ((long)_capacity * (sizeof(ulong) + sizeof(int))) + ((_table.Length + _used.Length) * (long)sizeof(int)) + _bytes.MemoryBytes;

    /// <summary>Whether blocks of that hash are sampled at present. May be asked while another thread changes the sample.</summary>
    public bool IsSampled(ulong hash) => hash <= Volatile.Read(ref _limit);

    /// <summary>Notes a use of a block that was placed. False: it was not, or has left the sample.</summary>
    /// <param name="since">Estimated bytes of all other blocks that were used since its last use, and its own: the smallest LRU cache that would have it.</param>
    public bool TryTouch(ulong hash, out long since)
    {
        since = 0;
        if (Find(hash, out _) is not { } entry)
        {
            return false;
        }

        var time = _times[entry];
        var bytes = _bytes[time];
        since = (long)(_bytes.SumAfter(time) * Weight) + bytes;
        Renew(entry, bytes);
        return true;
    }

    /// <summary>A block was stored: it is the one used last from now on. Nothing happens if it is not sampled.</summary>
    public void Place(ulong hash, int bytes)
    {
        if (!IsSampled(hash))
        {
            return;
        }

        if (Find(hash, out var place) is { } entry)
        {
            Renew(entry, bytes);
            return;
        }

        while (Count >= Room)
        {
            HalveLimit();
            if (!IsSampled(hash))
            {
                return;
            }

            Find(hash, out place);
        }

        entry = _free;
        _free = _times[entry];
        Count++;
        _hashes[entry] = hash;
        _table[place] = entry + 1;
        Use(entry, bytes);
    }

    /// <summary>A block was removed by its owner: no cache would have it.</summary>
    public void Forget(ulong hash)
    {
        if (Find(hash, out var place) is { } entry)
        {
            Unuse(entry);
            Free(entry, place);
        }
    }

    /// <summary>The entry of that hash and its place in the table; or null, and the place where it would go.</summary>
    private int? Find(ulong hash, out int place)
    {
        var mask = _table.Length - 1;
        for (place = Home(hash); _table[place] != 0; place = (place + 1) & mask)
        {
            if (_hashes[_table[place] - 1] == hash)
            {
                return _table[place] - 1;
            }
        }

        return null;
    }

    /// <summary>The low bits: the high ones are alike in all that are sampled.</summary>
    private int Home(ulong hash) => (int)(hash & (ulong)(_table.Length - 1));

    private void Renew(int entry, int bytes)
    {
        Unuse(entry);
        Use(entry, bytes);
    }

    private void Use(int entry, int bytes)
    {
        if (_now == _used.Length)
        {
            Renumber();
        }

        _times[entry] = _now;
        _used[_now] = entry + 1;
        _bytes[_now] = bytes;
        _now++;
    }

    private void Unuse(int entry)
    {
        _used[_times[entry]] = 0;
        _bytes[_times[entry]] = 0;
    }

    private void HalveLimit()
    {
        Volatile.Write(ref _limit, _limit / 2);
        Weight *= 2;
        for (var time = 0; time < _now; time++)
        {
            if (_used[time] != 0 && _hashes[_used[time] - 1] > _limit)
            {
                var entry = _used[time] - 1;
                Find(_hashes[entry], out var place);
                Unuse(entry);
                Free(entry, place);
            }
        }

        Renumber();
    }

    /// <summary>Gives times from 0 on, in the same order. Half of all times are free afterwards at least.</summary>
    private void Renumber()
    {
        var next = 0;
        for (var time = 0; time < _now; time++)
        {
            var used = _used[time];
            if (used != 0)
            {
                var bytes = _bytes[time];
                Unuse(used - 1);
                _used[next] = used;
                _bytes[next] = bytes;
                _times[used - 1] = next++;
            }
        }

        _now = next;
    }

    /// <summary>Takes an entry out of the table; what stood behind it moves up, so that no search ends early.</summary>
    private void Free(int entry, int place)
    {
        var mask = _table.Length - 1;
        var hole = place;
        for (var next = (hole + 1) & mask; _table[next] != 0; next = (next + 1) & mask)
        {
            var distance = (next - Home(_hashes[_table[next] - 1])) & mask;
            if (distance >= ((next - hole) & mask))
            {
                _table[hole] = _table[next];
                hole = next;
            }
        }

        _table[hole] = 0;
        _times[entry] = _free;
        _free = entry;
        Count--;
    }
}
