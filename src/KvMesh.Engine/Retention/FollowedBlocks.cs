using System.Diagnostics;

namespace KvMesh.Engine.Retention;

/// <summary>
/// Blocks that were used lately, here or not, in the order of their last use. The list is cut into ages: a block that becomes older stays where it is while
/// the cut moves over it. The newest blocks of the same list are what LRU would hold. At most <see cref="MaxFollowed"/> blocks of 32 bytes, and their places in a
/// table; where more than half as many are here, one in two, four, … blocks is followed (Waldspurger et al., SHARDS, FAST 2015).
/// </summary>
/// <param name="ages">Ages that there are.</param>
internal sealed class FollowedBlocks(int ages)
{
    public const int MaxFollowed = 1 << 17;

    private const int None = -1;
    private const int FirstPlaces = 256;

    private readonly Dictionary<ulong, int> _places = [];
    private Followed[] _followed = new Followed[FirstPlaces];
    private int _used;
    private readonly (int Oldest, int Newest)[] _ends = [.. Enumerable.Repeat((None, None), ages)];
    private int _newest = None;
    private int _oldest = None;
    private int _oldestOfLru = None;
    private int _lruCount;
    private int _free = None;
    private ulong _mask;

    /// <summary>One in so many blocks is followed, a power of two.</summary>
    public long OneIn => (long)_mask + 1;

    /// <summary>Whether the block is one that is followed when it is used. The low bits of a fingerprint may choose places elsewhere: the sample is by high ones.</summary>
    public bool Follows(ulong fingerprint) => (Spread(fingerprint) & _mask) == 0;

    /// <summary>A block that was used before and is not forgotten, or -1. Its place is good until another block is added or forgotten.</summary>
    public int Find(ulong fingerprint) => _places.TryGetValue(fingerprint, out var place) ? place : None;

    public ref Followed At(int place) => ref _followed[place];

    /// <summary>The longest unused block of an age, or -1.</summary>
    public int OldestOf(int age) => _ends[age].Oldest;

    /// <summary>A block that is not followed is used. There has to be room.</summary>
    public int Add(ulong fingerprint)
    {
        Debug.Assert(_places.Count < MaxFollowed, "the longest unused block has to be forgotten first");
        var place = _free;
        if (place != None)
        {
            _free = At(place).Newer;
        }
        else
        {
            place = _used++;
            if (place == _followed.Length)
            {
                Array.Resize(ref _followed, place * 2);
            }
        }

        At(place) = new Followed { Fingerprint = fingerprint };
        _places.Add(fingerprint, place);
        Link(place);
        return place;
    }

    /// <summary>A block that is followed is used.</summary>
    public void MoveToNewest(int place)
    {
        Unlink(place);
        Link(place);
    }

    /// <summary>The longest unused block of an age passes to the next one.</summary>
    public void Pass(int place)
    {
        ref var followed = ref At(place);
        LeaveAge(place, followed);
        followed.Age++;
        ref var ends = ref _ends[followed.Age];
        ends = (ends.Oldest == None ? place : ends.Oldest, place);
    }

    /// <summary>The longest unused block when there is no room for another one, or -1.</summary>
    public int Superfluous() => _places.Count < MaxFollowed ? None : _oldest;

    public void Forget(int place)
    {
        Unlink(place);
        _places.Remove(At(place).Fingerprint);
        At(place).Newer = _free;
        _free = place;
    }

    /// <summary>How many of the newest LRU would hold with room for so many blocks in all: those beyond leave it, or more may come.</summary>
    public int SizeLru(int capacity)
    {
        var size = (int)Math.Max(1, capacity / OneIn);
        while (_lruCount > size)
        {
            LeaveLru(_oldestOfLru);
        }

        return size;
    }

    /// <summary>Follows one in so many more blocks that those which are here are half of the followed at most.</summary>
    public void ThinOut(int capacity)
    {
        while (capacity / OneIn > MaxFollowed / 2)
        {
            _mask = (_mask << 1) | 1;
            foreach (var (fingerprint, place) in _places.ToArray())
            {
                if (!Follows(fingerprint))
                {
                    Forget(place);
                }
            }
        }
    }

    private static ulong Spread(ulong fingerprint) => (fingerprint * 0x9E37_79B9_7F4A_7C15) >> 32;

    private void Link(int place)
    {
        ref var followed = ref At(place);
        (followed.Age, followed.IsInLru, followed.Older, followed.Newer) = (0, true, _newest, None);
        if (_newest != None)
        {
            At(_newest).Newer = place;
        }
        else
        {
            _oldest = place;
        }

        _newest = place;
        ref var ends = ref _ends[0];
        ends = (ends.Oldest == None ? place : ends.Oldest, place);
        _oldestOfLru = _lruCount++ == 0 ? place : _oldestOfLru;
    }

    private void Unlink(int place)
    {
        ref var followed = ref At(place);
        if (followed.IsInLru)
        {
            LeaveLru(place);
        }

        LeaveAge(place, followed);
        if (followed.Newer != None)
        {
            At(followed.Newer).Older = followed.Older;
        }
        else
        {
            _newest = followed.Older;
        }

        if (followed.Older != None)
        {
            At(followed.Older).Newer = followed.Newer;
        }
        else
        {
            _oldest = followed.Newer;
        }
    }

    private void LeaveLru(int place)
    {
        ref var followed = ref At(place);
        followed.IsInLru = false;
        _lruCount--;
        _oldestOfLru = place == _oldestOfLru ? followed.Newer : _oldestOfLru;
    }

    private void LeaveAge(int place, in Followed followed)
    {
        ref var ends = ref _ends[followed.Age];
        if (ends.Oldest == ends.Newest)
        {
            ends = (None, None);
        }
        else
        {
            ends = (ends.Oldest == place ? followed.Newer : ends.Oldest, ends.Newest == place ? followed.Older : ends.Newest);
        }
    }

    internal struct Followed
    {
        public ulong Fingerprint;
        public long UsedAt;
        public int Older;
        public int Newer;
        public byte Turn;
        public byte Uses;
        public byte Age;
        public bool IsInLru;
    }
}
