using System.Runtime.InteropServices;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Demand;

/// <summary>
/// Which prefixes are asked for at this node, and how often lately: decayed counts of at most <see cref="Capacity"/> prefixes. A new one takes
/// the place of the least wanted and inherits its count (Space-Saving; Metwally, Agrawal and El Abbadi, 2005), so what is asked
/// for more than total ÷ capacity is never missing.
/// </summary>
/// <remarks>
/// A request names its whole chain, and chains of one fleet differ in their tails: counting tails alone would never see the
/// system prompt that all share. So a request counts for its prefixes of 1, 2, 4, 8 … blocks and for the whole.
/// </remarks>
public sealed class DemandTable
{
    /// <summary>Bytes of keys that the table may hold.</summary>
    public const long MaxKeyBytes = 32L << 20;

    private readonly Lock _lock = new();
    private readonly Dictionary<(string Tenant, KeyDigest Tail), Entry> _entries = [];
    private readonly PriorityQueue<Entry, double> _least = new();
    private readonly TimeProvider _time;
    private readonly double _decayPerSecond;
    private readonly long _start;
    private long _keyBytes;
    private double _rebasedSeconds;

    /// <param name="halfLife">Time after which a request counts half.</param>
    public DemandTable(int capacity, TimeSpan halfLife, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(halfLife, TimeSpan.Zero);
        Capacity = capacity;
        _time = time;
        _decayPerSecond = Math.Log(2) / halfLife.TotalSeconds;
        _start = time.GetTimestamp();
    }

    public int Capacity { get; }

    /// <summary>
    /// A request asked for the first <paramref name="blocks"/> blocks of a chain. Keys are copied only for prefixes that the table did not know.
    /// Never waits: when another thread is counting, this request is not counted.
    /// </summary>
    /// <param name="requests">How many requests this one stands for.</param>
    public void Note<TChain>(string tenant, TChain chain, int blocks, double requests = 1)
        where TChain : IRequestedChain, allows ref struct
    {
        if (blocks <= 0 || !_lock.TryEnter())
        {
            return;
        }

        try
        {
            var weight = requests * Math.Exp(SecondsNow() * _decayPerSecond);
            for (var depth = 1; depth < blocks; depth *= 2)
            {
                Count(tenant, chain, depth, weight);
            }

            Count(tenant, chain, blocks, weight);
        }
        finally
        {
            _lock.Exit();
        }
    }

    /// <summary>
    /// The most wanted prefixes, by requests per second times blocks. A prefix that is nearly always asked for as part of a longer one is
    /// not listed beside it.
    /// </summary>
    public IReadOnlyList<WantedPrefix> Top(int count)
    {
        List<WantedPrefix> wanted;
        lock (_lock)
        {
            // A steady rate r holds the decayed count at r ÷ decay.
            var scale = _decayPerSecond / Math.Exp(SecondsNow() * _decayPerSecond);
            wanted = [.. _entries.Values.Select(entry => new WantedPrefix(entry.Tenant, entry.Tail, entry.Keys, entry.Bytes, entry.Weight * scale))];
        }

        wanted.Sort(static (left, right) => (right.RequestsPerSecond * right.Keys.Count).CompareTo(left.RequestsPerSecond * left.Keys.Count));
        return Prune(wanted, count);
    }

    /// <summary>Keys of a prefix that is counted, by its last one; null when none of them ends so.</summary>
    public IReadOnlyList<ReadOnlyMemory<byte>>? Find(string tenant, ReadOnlySpan<byte> tail)
    {
        lock (_lock)
        {
            foreach (var entry in _entries.Values)
            {
                if (entry.Tenant == tenant && entry.Keys[^1].Span.SequenceEqual(tail))
                {
                    return entry.Keys;
                }
            }
        }

        return null;
    }

    /// <summary>Drops what a longer prefix in the list stands for already.</summary>
    private static List<WantedPrefix> Prune(List<WantedPrefix> wanted, int count)
    {
        var longestRate = new Dictionary<(string, ReadOnlyMemory<byte>), double>(KeyComparer.Instance);
        foreach (var prefix in wanted)
        {
            for (var depth = 1; depth < prefix.Keys.Count; depth *= 2)
            {
                ref var rate = ref CollectionsMarshal.GetValueRefOrAddDefault(longestRate, (prefix.Tenant, prefix.Keys[depth - 1]), out _);
                rate = Math.Max(rate, prefix.RequestsPerSecond);
            }
        }

        return
        [
            .. wanted
                .Where(prefix => longestRate.GetValueOrDefault((prefix.Tenant, prefix.Keys[^1])) < 0.8 * prefix.RequestsPerSecond)
                .Take(count),
        ];
    }

    private void Count<TChain>(string tenant, TChain chain, int depth, double weight)
        where TChain : IRequestedChain, allows ref struct
    {
        var tail = chain.DigestAt(depth - 1);
        if (_entries.TryGetValue((tenant, tail), out var entry))
        {
            entry.Weight += weight;
            return;
        }

        var keyBytes = (long)depth * chain.KeyBytes;
        if (keyBytes > MaxKeyBytes)
        {
            return;
        }

        var inherited = 0.0;
        while (_entries.Count >= Capacity || (_keyBytes + keyBytes > MaxKeyBytes && _entries.Count > 0))
        {
            inherited = RemoveLeast();
        }

        var keys = new ReadOnlyMemory<byte>[depth];
        for (var index = 0; index < depth; index++)
        {
            keys[index] = chain.CopyKeyAt(index);
        }

        entry = new Entry(tenant, tail, keys, chain.PayloadBytesOf(depth)) { Weight = inherited + weight };
        _entries.Add((tenant, tail), entry);
        _least.Enqueue(entry, entry.Weight);
        _keyBytes += entry.KeyBytes;
    }

    /// <summary>Removes the least wanted entry and returns its count. Ranks in the queue are of old and corrected as they come up.</summary>
    private double RemoveLeast()
    {
        while (true)
        {
            var entry = _least.Dequeue();
            if (_least.Count > 0 && _least.TryPeek(out _, out var next) && entry.Weight > next)
            {
                _least.Enqueue(entry, entry.Weight);
                continue;
            }

            _entries.Remove((entry.Tenant, entry.Tail));
            _keyBytes -= entry.KeyBytes;
            return entry.Weight;
        }
    }

    /// <summary>Instead of decaying all old counts, new ones weigh more; from time to time all are scaled down again.</summary>
    private double SecondsNow()
    {
        var seconds = _time.GetElapsedTime(_start).TotalSeconds - _rebasedSeconds;
        if (seconds * _decayPerSecond > 500)
        {
            Rebase(seconds);
            return 0;
        }

        return seconds;
    }

    private void Rebase(double seconds)
    {
        var factor = Math.Exp(-seconds * _decayPerSecond);
        _rebasedSeconds += seconds;
        _least.Clear();
        foreach (var entry in _entries.Values)
        {
            entry.Weight *= factor;
            _least.Enqueue(entry, entry.Weight);
        }
    }

    private sealed class Entry(string tenant, KeyDigest tail, IReadOnlyList<ReadOnlyMemory<byte>> keys, long bytes)
    {
        public string Tenant => tenant;

        public KeyDigest Tail => tail;

        public IReadOnlyList<ReadOnlyMemory<byte>> Keys => keys;

        public long KeyBytes { get; } = keys.Sum(static key => (long)key.Length);

        public long Bytes => bytes;

        public double Weight { get; set; }
    }

    private sealed class KeyComparer : IEqualityComparer<(string Tenant, ReadOnlyMemory<byte> Key)>
    {
        public static readonly KeyComparer Instance = new();

        public bool Equals((string Tenant, ReadOnlyMemory<byte> Key) left, (string Tenant, ReadOnlyMemory<byte> Key) right) =>
            left.Tenant == right.Tenant && left.Key.Span.SequenceEqual(right.Key.Span);

        public int GetHashCode((string Tenant, ReadOnlyMemory<byte> Key) value)
        {
            var hash = new HashCode();
            hash.Add(value.Tenant, StringComparer.Ordinal);
            hash.AddBytes(value.Key.Span);
            return hash.ToHashCode();
        }
    }
}
