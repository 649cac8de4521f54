using System.Diagnostics;

namespace KvMesh.Engine.Retention;

/// <summary>
/// Blocks that were used lately, here or not: a log of their last uses. A use goes to its end, and the one before it of the same block is dead. The log is cut
/// into ages: a use that becomes older stays where it is while the cut moves over it. The newest uses are what LRU would hold. At most <see cref="MaxFollowed"/>
/// blocks, and places for twice as many of 24 bytes; where more than half as many are here, one in two, four, … blocks is followed (Waldspurger et al.,
/// SHARDS, FAST 2015).
/// </summary>
/// <param name="ages">Ages that there are.</param>
internal sealed class FollowedBlocks(int ages)
{
    public const int MaxFollowed = 1 << 17;

    /// <summary>Followed for each block that is here, where that is more than <see cref="MinFollowed"/> and less than <see cref="MaxFollowed"/>: a small cache, as of one of many tenants, takes little memory.</summary>
    public const int FollowedPerBlock = 16;
    public const int MinFollowed = 8192;

    public const long None = -1;
    private const int FirstPlaces = 256;

    private readonly Dictionary<ulong, long> _places = [];
    private readonly long[] _cuts = new long[ages];
    private FollowedUse[] _log = new FollowedUse[FirstPlaces];
    private long _first;
    private long _next;
    private long _oldestOfLru;
    private int _lruCount;
    private ulong _mask;
    private int _limit = MinFollowed;

    /// <summary>One in so many blocks is followed, a power of two.</summary>
    public long OneIn => (long)_mask + 1;

    /// <summary>Blocks that are followed now.</summary>
    public int Count => _places.Count;

    /// <summary>Whether the block is one that is followed when it is used. The low bits of a fingerprint may choose places elsewhere: the sample is by high ones.</summary>
    public bool Follows(ulong fingerprint) => (Spread(fingerprint) & _mask) == 0;

    /// <summary>Where the last use of a block is, or <see cref="None"/> when it is forgotten. Good until another use comes.</summary>
    public long Find(ulong fingerprint) => _places.TryGetValue(fingerprint, out var place) ? place : None;

    public ref readonly FollowedUse At(long place) => ref _log[place & (_log.Length - 1)];

    /// <summary>Whether LRU would hold the block that was last used here.</summary>
    public bool IsInLru(long place) => place >= _oldestOfLru;

    /// <summary>How many ages a use has passed, which is at most so many.</summary>
    public int AgesPassed(long place, int most)
    {
        var passed = most;
        while (passed > 0 && _cuts[passed - 1] <= place)
        {
            passed--;
        }

        return passed;
    }

    /// <summary>A block is used. The longest unused one is forgotten where there is no room for another.</summary>
    public void Add(in FollowedUse use)
    {
        Debug.Assert(!use.IsDead, "a use that is noted counts");
        if (_places.TryGetValue(use.Fingerprint, out var before))
        {
            Kill(before);
        }
        else
        {
            while (_places.Count >= _limit)
            {
                SkipDead();
                Forget(_first);
            }
        }

        SkipDead();
        if (_next - _first == _log.Length)
        {
            Rebuild(_places.Count > _log.Length / 2 ? _log.Length * 2 : _log.Length);
        }

        _places[use.Fingerprint] = _next;
        _log[_next & (_log.Length - 1)] = use;
        _next++;
        _lruCount++;
    }

    /// <summary>The next use of an age whose time is over passes to the next age. False when there is none.</summary>
    /// <param name="age">The age.</param>
    /// <param name="latest">Uses until then pass.</param>
    /// <param name="place">Where it is.</param>
    public bool TryPass(int age, long latest, out long place)
    {
        ref var cut = ref _cuts[age];
        cut = Math.Max(cut, _first);
        for (var end = age == 0 ? _next : _cuts[age - 1]; cut < end; cut++)
        {
            ref readonly var use = ref At(cut);
            if (use.IsDead)
            {
                continue;
            }

            if (use.At > latest)
            {
                break;
            }

            place = cut++;
            return true;
        }

        place = None;
        return false;
    }

    /// <summary>How many of the newest LRU would hold with room for so many blocks in all: those beyond leave it, or more may come.</summary>
    public int SizeLru(int capacity)
    {
        var size = (int)Math.Max(1, capacity / OneIn);
        for (_oldestOfLru = Math.Max(_oldestOfLru, _first); _lruCount > size; _oldestOfLru++)
        {
            _lruCount -= At(_oldestOfLru).IsDead ? 0 : 1;
        }

        return size;
    }

    /// <summary>Follows one in so many more blocks that those which are here are half of the followed at most, and where few are here, few.</summary>
    public void ThinOut(int capacity)
    {
        _limit = (int)Math.Clamp((long)FollowedPerBlock * capacity, MinFollowed, MaxFollowed);
        while (capacity / OneIn > MaxFollowed / 2)
        {
            _mask = (_mask << 1) | 1;
            for (var place = _first; place < _next; place++)
            {
                if (!At(place).IsDead && !Follows(At(place).Fingerprint))
                {
                    Forget(place);
                }
            }
        }
    }

    private static ulong Spread(ulong fingerprint) => (fingerprint * 0x9E37_79B9_7F4A_7C15) >> 32;

    private void Kill(long place)
    {
        _log[place & (_log.Length - 1)].IsDead = true;
        _lruCount -= IsInLru(place) ? 1 : 0;
    }

    private void Forget(long place)
    {
        _places.Remove(At(place).Fingerprint);
        Kill(place);
    }

    private void SkipDead()
    {
        while (_first < _next && At(_first).IsDead)
        {
            _first++;
        }
    }

    /// <summary>Leaves the dead behind, in a log of so many places.</summary>
    private void Rebuild(int places)
    {
        var log = new FollowedUse[places];
        var next = 0;
        var age = ages - 1;
        long? oldestOfLru = null;
        for (var place = _first; place < _next; place++)
        {
            for (; age >= 0 && _cuts[age] <= place; age--)
            {
                _cuts[age] = next;
            }

            oldestOfLru ??= IsInLru(place) ? next : null;
            if (!At(place).IsDead)
            {
                log[next] = At(place);
                _places[log[next].Fingerprint] = next++;
            }
        }

        _cuts.AsSpan(0, age + 1).Fill(next);
        (_log, _first, _next, _oldestOfLru) = (log, 0, next, oldestOfLru ?? next);
    }
}

/// <summary>The last use of a block that is followed.</summary>
/// <param name="Fingerprint">The block.</param>
/// <param name="At">When it was used.</param>
/// <param name="Class">Its class since.</param>
internal record struct FollowedUse(ulong Fingerprint, long At, ReuseClass Class)
{
    /// <summary>The block was used again, or is forgotten.</summary>
    public bool IsDead;
}
