using System.Collections.Concurrent;
using KvMesh.Cluster.Map;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Removals;

/// <summary>
/// The keys that were removed last, each with its number in the log, so that this node takes none of them from one that has not heard. A key
/// that the others have not been told of has no number yet and is taken from nobody. What does not fit any more raises
/// <see cref="Forgotten"/>, which then everybody must have applied. Any thread.
/// </summary>
internal sealed class Tombstones(TimeProvider time)
{
    /// <summary>For so long after its removal a key is asked for nowhere: the map still names those who are about to let it go.</summary>
    public static readonly TimeSpan Quiet = TimeSpan.FromSeconds(2);

    private const long Untold = long.MaxValue;
    private const long BeingTold = long.MaxValue - 1;

    private readonly DigestSecret _secret = DigestSecret.Create();
    private readonly ConcurrentDictionary<KeyDigest, Tombstone> _keys = new();
    private readonly ConcurrentQueue<(KeyDigest Digest, long Number)> _order = new();
    private long _forgotten;

    /// <summary>Every removal up to this number must have been applied by a node from which anything is taken.</summary>
    public long Forgotten => Volatile.Read(ref _forgotten);

    public int Count => _keys.Count;

    /// <summary>What was removed up to this number is not remembered key by key.</summary>
    public void ForgetUpTo(long number)
    {
        var known = Volatile.Read(ref _forgotten);
        while (number > known && Interlocked.CompareExchange(ref _forgotten, number, known) is var seen && seen != known)
        {
            known = seen;
        }
    }

    /// <summary>This node removed a key. False: it waits to be told already.</summary>
    public bool Add(string tenant, ReadOnlySpan<byte> key)
    {
        var now = time.GetTimestamp();
        var digest = DigestOf(tenant, key);
        var wasWaiting = _keys.TryGetValue(digest, out var known) && known.Number == Untold;
        _keys[digest] = new Tombstone(Untold, now);
        return !wasWaiting;
    }

    /// <summary>It is about to be told. A removal of the same key from now on must be told again.</summary>
    public void Telling(in RemovedKey key)
    {
        var digest = DigestOf(key.Tenant, key.Key.Span);
        if (_keys.TryGetValue(digest, out var known) && known.Number == Untold)
        {
            _keys.TryUpdate(digest, known with { Number = BeingTold }, known);
        }
    }

    /// <summary>It was told, and has a number.</summary>
    public void Told(in RemovedKey key, long number)
    {
        var digest = DigestOf(key.Tenant, key.Key.Span);
        if (_keys.TryGetValue(digest, out var known) && known.Number == BeingTold && _keys.TryUpdate(digest, known with { Number = number }, known))
        {
            Remember(digest, number);
        }
    }

    /// <summary>It could not be told: it waits again.</summary>
    public void NotTold(in RemovedKey key)
    {
        var digest = DigestOf(key.Tenant, key.Key.Span);
        if (_keys.TryGetValue(digest, out var known) && known.Number == BeingTold)
        {
            _keys.TryUpdate(digest, known with { Number = Untold }, known);
        }
    }

    /// <summary>Another node removed a key.</summary>
    public void Note(in RemovedKey key, long number)
    {
        var digest = DigestOf(key.Tenant, key.Key.Span);
        var noted = _keys.AddOrUpdate(
            digest,
            static (_, to) => new Tombstone(to, 0),
            static (_, known, to) => known.Number >= to ? known : known with { Number = to },
            number);
        if (noted.Number == number)
        {
            Remember(digest, number);
        }
    }

    /// <summary>The number of the removal of a key, 0 when it is not known to be removed; false: it is to be asked for nowhere now.</summary>
    public bool MayAsk(string tenant, ReadOnlySpan<byte> key, out long number)
    {
        number = 0;
        if (_keys.IsEmpty || !_keys.TryGetValue(DigestOf(tenant, key), out var known))
        {
            return true;
        }

        number = known.Number;
        return number < BeingTold && (known.RemovedAt == 0 || time.GetElapsedTime(known.RemovedAt) >= Quiet);
    }

    /// <summary>Number of the removal of a key; 0 when it is not known to be removed.</summary>
    public long NumberOf(string tenant, ReadOnlySpan<byte> key) =>
        !_keys.IsEmpty && _keys.TryGetValue(DigestOf(tenant, key), out var known) ? known.Number : 0;

    /// <summary>Whether a key was removed here a moment ago, or the others have not been told of it.</summary>
    public bool IsQuiet(string tenant, ReadOnlySpan<byte> key) => !_keys.IsEmpty && !MayAsk(tenant, key, out _);

    private KeyDigest DigestOf(string tenant, ReadOnlySpan<byte> key) => KeyDigest.Compute(_secret, TenantNumbers.Of(tenant), key);

    private void Remember(KeyDigest digest, long number)
    {
        _order.Enqueue((digest, number));
        while (_order.Count > RemovalLimits.MaxTombstones && _order.TryDequeue(out var oldest))
        {
            if (_keys.TryGetValue(oldest.Digest, out var known) && known.Number == oldest.Number && _keys.TryRemove(new(oldest.Digest, known)))
            {
                ForgetUpTo(oldest.Number);
            }
        }
    }

    /// <param name="RemovedAt">When this node removed it, by the clock's timestamp; 0: another one did.</param>
    private readonly record struct Tombstone(long Number, long RemovedAt);
}
