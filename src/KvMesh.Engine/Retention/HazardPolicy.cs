using System.Numerics;

namespace KvMesh.Engine.Retention;

/// <summary>
/// Learned reuse hazard: keeps what is most likely to be asked for again soon. Blocks that began in the same turn of their chain, were used as often and came back
/// after about as long are of one class (<see cref="ReuseClass"/>); <see cref="ReuseHazard"/> learns for each class the chance of a use by age, from blocks that are here and from blocks that have left. Blocks lie in
/// queues by class and age, and the next victim comes from the queue that is least likely to be used within the horizon. Horizon and hazards are learned and fade;
/// where a shadow of LRU does better, its order counts for a while (<see cref="ShadowGuard"/>).
/// </summary>
/// <remarks>A touch is O(1), amortised over the ages that a block passes; so is a victim, and O(classes) while LRU's order counts.</remarks>
public sealed class HazardPolicy<T>() : QueuedPolicy<T>(queues: ReuseHazard.Cells + 3)
    where T : Retained<T>
{
    /// <summary>Blocks of low interest, which leave first.</summary>
    private const int LowInterest = ReuseHazard.Cells;

    /// <summary>
    /// The newest of the blocks that came in, one in <see cref="BlocksPerNewcomer"/> of what is here: spared, so that a chain which is still coming in is not cut, and
    /// who had a block brought finds it.
    /// </summary>
    private const int Newcomers = ReuseHazard.Cells + 1;
    private const int BlocksPerNewcomer = 64;

    /// <summary>Blocks that were in use when their turn came. They are asked again after a while, or when there are no others.</summary>
    private const int Spared = ReuseHazard.Cells + 2;
    private const long SpareTicks = TimeSpan.TicksPerSecond;

    private const int WordsPerAge = (ReuseClass.Count + 63) / 64;

    private readonly ReuseHazard _hazard = new();
    private readonly ShadowGuard _guard = new();

    /// <summary>
    /// Queues that may hold blocks, by their place in the order of leaving, and for each age by class: every queue with a block has its bits, and one that is
    /// met empty loses them.
    /// </summary>
    private readonly ulong[] _byRank = new ulong[(ReuseHazard.Cells + 63) / 64];
    private readonly ulong[] _byAge = new ulong[ReuseHazard.Ages * WordsPerAge];
    private int _orderVersion;
    private long _advanceAt;
    private long _now;
    private long _askAgainAt;

    /// <summary>Whether LRU's order counts now, because its shadow did better.</summary>
    public bool FollowsLru => _guard.FollowsLru;

    /// <summary>What was learned until now, for people: in time proportional to classes and ages, and it changes nothing.</summary>
    public LearnedReuse Learned() => _hazard.Learned(FollowsLru);

    public override IEnumerable<T> LeastValuableFirst()
    {
        var cells = _hazard.LeastLikelyFirst.ToArray();
        return cells.Prepend(LowInterest).Append(Newcomers).Append(Spared).SelectMany(cell => Queue(cell).OldestFirst());
    }

    public override IEnumerable<T> MostValuableFirst()
    {
        var cells = _hazard.LeastLikelyFirst.ToArray();
        return cells.Append(Newcomers).Append(Spared).Reverse().Append(LowInterest).SelectMany(cell => Queue(cell).NewestFirst());
    }

    /// <summary>What its class has met at this age and later. Null while nothing has been learned, and while LRU's order counts.</summary>
    public override double? ExpectedUses(T block) => _guard.FollowsLru || !_hazard.IsLearned
        ? null
        : _hazard.ExpectedUses(ReuseHazard.CellOf(block.Class) + ReuseHazard.AgeOf(Math.Max(0, Volatile.Read(ref _now) - block.LastUse)));

    private protected override int StepsPerBlock => 2;

    private protected override RetentionQueue<T> FirstToLeave => Queue(LowInterest);

    private protected override RetentionQueue<T> QueueInUse(int number) => Queue(Spared);

    private protected override void Place(T block, long request, bool lowInterest)
    {
        var parent = block.Parent is { IsRetained: true } retained ? retained : null;
        Advance(request);

        // Who goes on where a chain ended begins the turn after those that used its end; who goes another way than others did begins one behind it.
        var turn = parent is null ? 0 : parent.Class.Turn + (parent.HasFollowers ? 1 : parent.Class.Uses);
        var reuse = Learn(block, ReuseClass.Of(turn, parent?.Class.Gap ?? 0), wasHere: false, request);
        if (!reuse.IsKnown && parent is not null)
        {
            parent.HasFollowers = true;
        }

        block.HasFollowers = false;
        if (lowInterest)
        {
            Queue(LowInterest).InsertOldest(block);
        }
        else
        {
            Queue(Newcomers).InsertNewest(block);
            while (Queue(Newcomers).Count > 1 + (Count / BlocksPerNewcomer))
            {
                var oldest = Queue(Newcomers).Oldest!;
                MoveToNewest(oldest, QueueOf(oldest, request));
            }
        }
    }

    private protected override void Use(T block, long usedBefore)
    {
        Advance(block.LastUse);
        Learn(block, block.Class.Used(block.LastUse - usedBefore), wasHere: true, block.LastUse);
        MoveToNewest(block, QueueFor(ReuseHazard.CellOf(block.Class)));
    }

    private protected override T? Candidate() =>
        Queue(LowInterest).Oldest ?? (_guard.FollowsLru ? LeastRecentlyUsed() : LeastLikely()) ?? Queue(Newcomers).Oldest ?? Queue(Spared).Oldest;

    private ReuseHazard.Reuse Learn(T block, ReuseClass reuseClass, bool wasHere, long now)
    {
        var reuse = _hazard.Use(block.Fingerprint, reuseClass, Count, now);
        block.Class = reuse.Class;
        if (reuse.IsFollowed)
        {
            _guard.Note(wasHere, reuse.WouldBeHere, reuse.LruSize);
        }

        return reuse;
    }

    private T? LeastLikely()
    {
        FollowOrder();
        var cells = _hazard.LeastLikelyFirst;
        for (var word = 0; word < _byRank.Length; word++)
        {
            while (_byRank[word] != 0)
            {
                if (Queue(cells[(word * 64) + BitOperations.TrailingZeroCount(_byRank[word])]).Oldest is { } oldest)
                {
                    return oldest;
                }

                _byRank[word] &= _byRank[word] - 1;
            }
        }

        return null;
    }

    /// <summary>The longest unused block: all of the oldest age were used before those of the next.</summary>
    private T? LeastRecentlyUsed()
    {
        for (var age = ReuseHazard.Ages - 1; age >= 0; age--)
        {
            T? longest = null;
            for (var number = NextClass(age, 0); number >= 0; number = NextClass(age, number + 1))
            {
                if (Queue((number * ReuseHazard.Ages) + age).Oldest is not { } oldest)
                {
                    Unset(age, number);
                }
                else if (longest is null || oldest.LastUse < longest.LastUse)
                {
                    longest = oldest;
                }
            }

            if (longest is not null)
            {
                return longest;
            }
        }

        return null;
    }

    /// <summary>The queue of a block that was not used since its last use.</summary>
    private RetentionQueue<T> QueueOf(T block, long now) => QueueFor(ReuseHazard.CellOf(block.Class) + ReuseHazard.AgeOf(Math.Max(0, now - block.LastUse)));

    /// <summary>The queue of a cell, for a block that goes there now.</summary>
    private RetentionQueue<T> QueueFor(int cell)
    {
        FollowOrder();
        var rank = _hazard.RankOf(cell);
        _byRank[rank >> 6] |= 1ul << (rank & 63);
        var (number, age) = Math.DivRem(cell, ReuseHazard.Ages);
        _byAge[(age * WordsPerAge) + (number >> 6)] |= 1ul << (number & 63);
        return Queue(cell);
    }

    private void FollowOrder()
    {
        if (_orderVersion == _hazard.OrderVersion)
        {
            return;
        }

        _orderVersion = _hazard.OrderVersion;
        Array.Clear(_byRank);
        for (var age = 0; age < ReuseHazard.Ages; age++)
        {
            for (var number = NextClass(age, 0); number >= 0; number = NextClass(age, number + 1))
            {
                var rank = _hazard.RankOf((number * ReuseHazard.Ages) + age);
                _byRank[rank >> 6] |= 1ul << (rank & 63);
            }
        }
    }

    /// <summary>Blocks that have become older go on to the next queue of their class.</summary>
    private void Advance(long now)
    {
        Volatile.Write(ref _now, now);
        if (now < _advanceAt)
        {
            return;
        }

        _advanceAt = now + ReuseHazard.StepTicks;
        if (now >= _askAgainAt)
        {
            _askAgainAt = now + SpareTicks;
            while (Queue(Spared).Oldest is { } spared)
            {
                MoveToNewest(spared, QueueOf(spared, now));
            }
        }

        var ages = _hazard.Advance(now);
        while (ages != 0)
        {
            // The longest unused go first, so that a queue gets them in that order.
            var age = BitOperations.Log2(ages);
            ages &= ~(1ul << age);
            for (var number = NextClass(age, 0); number >= 0; number = NextClass(age, number + 1))
            {
                var queue = Queue((number * ReuseHazard.Ages) + age);
                while (queue.Oldest is { } oldest && now - oldest.LastUse >= ReuseHazard.EndOf(age))
                {
                    MoveToNewest(oldest, QueueFor((number * ReuseHazard.Ages) + ReuseHazard.AgeOf(now - oldest.LastUse)));
                }

                if (queue.Oldest is null)
                {
                    Unset(age, number);
                }
            }
        }
    }

    /// <summary>The first class from that number on that may have blocks of an age, or -1.</summary>
    private int NextClass(int age, int from)
    {
        var words = _byAge.AsSpan(age * WordsPerAge, WordsPerAge);
        for (var word = from >> 6; word < words.Length; word++, from = word << 6)
        {
            if (words[word] >> (from & 63) is not 0 and var rest)
            {
                return from + BitOperations.TrailingZeroCount(rest);
            }
        }

        return -1;
    }

    private void Unset(int age, int number) => _byAge[(age * WordsPerAge) + (number >> 6)] &= ~(1ul << (number & 63));
}
