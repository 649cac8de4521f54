using System.Numerics;

namespace KvMesh.Engine.Advice;

/// <summary>
/// The sampled blocks of an arena in the order of their last use, after SHARDS (Waldspurger et al., FAST 2015): a block is in the sample if the hash
/// of its key is below a limit, and the limit is halved when the sample is full, sooner while many are sampled. The bytes used since are a Fenwick tree over
/// the times of last use, so a touch costs O(log n). Everything has a fixed size; nothing is allocated after construction. One caller at a time.
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

    /// <summary>Of each entry: hash of its key, its bytes, and its time of last use; of a free one, the time is the next free entry.</summary>
    private readonly ulong[] _hashes;
    private readonly int[] _bytes;
    private readonly int[] _times;

    /// <summary>Entry + 1 by hash, with linear probing, at most half full; 0 is empty.</summary>
    private readonly int[] _table;

    /// <summary>Entry + 1 by time of last use; 0 is none.</summary>
    private readonly int[] _used;

    /// <summary>Fenwick tree of the bytes last used at each time, from index 1.</summary>
    private readonly long[] _tree;

    private ulong _limit = ulong.MaxValue;
    private long _totalBytes;
    private int _free;
    private int _now;

    /// <param name="capacity">Most blocks in the sample: a power of two. 48 bytes each are taken at once.</param>
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
        _bytes = new int[capacity];
        _times = new int[capacity];
        _table = new int[2 * capacity];
        _used = new int[2 * capacity];
        _tree = new long[(2 * capacity) + 1];
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
    public double Rate => _limit / (double)ulong.MaxValue;

    /// <summary>Bytes of its arrays.</summary>
    public long MemoryBytes => ((long)_capacity * (sizeof(ulong) + (2 * sizeof(int)))) + (_table.Length * (long)sizeof(int)) + (_used.Length * (long)sizeof(int))
        + (_tree.Length * (long)sizeof(long));

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

        since = (long)((_totalBytes - SumTo(_times[entry])) / Rate) + _bytes[entry];
        Renew(entry);
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
            Add(_times[entry], bytes - _bytes[entry]);
            _bytes[entry] = bytes;
            Renew(entry);
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
        _bytes[entry] = bytes;
        _table[place] = entry + 1;
        Use(entry);
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

    private void Renew(int entry)
    {
        if (_times[entry] == _now - 1)
        {
            return;
        }

        Unuse(entry);
        Use(entry);
    }

    private void Use(int entry)
    {
        if (_now == _used.Length)
        {
            Renumber();
        }

        _times[entry] = _now;
        _used[_now] = entry + 1;
        Add(_now, _bytes[entry]);
        _now++;
    }

    private void Unuse(int entry)
    {
        _used[_times[entry]] = 0;
        Add(_times[entry], -_bytes[entry]);
    }

    private void HalveLimit()
    {
        Volatile.Write(ref _limit, _limit / 2);
        for (var time = 0; time < _now; time++)
        {
            if (_used[time] != 0 && _hashes[_used[time] - 1] > _limit)
            {
                var entry = _used[time] - 1;
                Find(_hashes[entry], out var place);
                _used[time] = 0;
                Free(entry, place);
            }
        }

        Renumber();
    }

    /// <summary>Gives times from 0 on, in the same order, and sums the tree anew. Half of all times are free afterwards at least.</summary>
    private void Renumber()
    {
        var next = 0;
        for (var time = 0; time < _now; time++)
        {
            var used = _used[time];
            if (used != 0)
            {
                _used[time] = 0;
                _used[next] = used;
                _times[used - 1] = next++;
            }
        }

        _now = next;
        _totalBytes = 0;
        Array.Clear(_tree);
        for (var index = 1; index < _tree.Length; index++)
        {
            var bytes = index <= _now ? _bytes[_used[index - 1] - 1] : 0;
            _totalBytes += bytes;
            _tree[index] += bytes;
            var parent = index + (index & -index);
            if (parent < _tree.Length)
            {
                _tree[parent] += _tree[index];
            }
        }
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

    private void Add(int time, long bytes)
    {
        _totalBytes += bytes;
        for (var index = time + 1; index < _tree.Length; index += index & -index)
        {
            _tree[index] += bytes;
        }
    }

    /// <summary>Bytes last used at that time or before.</summary>
    private long SumTo(int time)
    {
        var sum = 0L;
        for (var index = time + 1; index > 0; index &= index - 1)
        {
            sum += _tree[index];
        }

        return sum;
    }
}
