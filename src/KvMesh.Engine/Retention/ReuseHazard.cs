using System.Numerics;

namespace KvMesh.Engine.Retention;

/// <summary>
/// The chance that a block is used again, by class and age. Every block that was used lately is followed through the ages until it is used again, whether it is
/// still here or not: so what is learned does not depend on what was kept (<see cref="FollowedBlocks"/>).
/// </summary>
internal sealed class ReuseHazard
{
    public const int MaxTurn = 7;
    public const int MaxUses = 4;

    /// <summary>Ages, two to each doubling: from a hundredth of a second to half a day.</summary>
    public const int Ages = 44;

    public const int Classes = (MaxTurn + 1) * (MaxUses + 1);

    /// <summary>Classes by ages; the number of a cell is class × <see cref="Ages"/> + age.</summary>
    public const int Cells = Classes * Ages;

    /// <summary>Steps of time in which blocks get older, also the end of the first age: 10 ms.</summary>
    public const long StepTicks = 10 * TimeSpan.TicksPerMillisecond;

    /// <summary>An age is looked through for blocks that leave it so many times until its end.</summary>
    private const int LooksPerAge = 32;

    /// <summary>What was seen counts half after so many ages passed or ended.</summary>
    private const int EventsPerHalving = 1 << 20;

    /// <summary>A new order after so many at first, then after a quarter of those that were seen, and after so many at most.</summary>
    private const int FirstOrder = 8192;
    private const int EventsPerOrder = 1 << 15;

    /// <summary>Observations of the coarser estimate, all classes together or all of a turn, that a class's own weigh up.</summary>
    private const double PriorWeight = 100;

    private static readonly long[] Ends = [.. Enumerable.Range(0, Ages).Select(age => (long)(StepTicks * Math.Pow(2, age / 2.0)))];

    private readonly FollowedBlocks _followed = new(Ages);
    private readonly long[] _lookAt = new long[Ages];
    private readonly double[] _used = new double[Cells];
    private readonly double[] _passed = new double[Cells];
    private readonly int[] _order = [.. Enumerable.Range(0, Cells)];
    private readonly int[] _ranks = new int[Cells];
    private readonly bool[] _isSeen = new bool[Classes];
    private int _cells;
    private int _events;
    private int _eventsToOrder = FirstOrder;
    private int _eventsOfOrder = FirstOrder;
    private double _sumOfAges;
    private double _countOfAges;

    /// <summary>Cells of all classes that were seen, those first whose blocks are least likely to be used within the horizon.</summary>
    public ReadOnlySpan<int> LeastLikelyFirst => _order.AsSpan(0, _cells);

    /// <summary>Changes with each new order.</summary>
    public int OrderVersion { get; private set; }

    /// <summary>How far ahead a use counts: the mean age at which blocks are used again, in ticks.</summary>
    public double HorizonTicks => _countOfAges > 0 ? _sumOfAges / _countOfAges : Ends[Ages / 2];

    public static long EndOf(int age) => Ends[age];

    public static int AgeOf(long ticks)
    {
        var age = ticks < StepTicks ? 0 : Math.Min(Ages - 1, 1 + (2 * BitOperations.Log2((ulong)(ticks / StepTicks))));
        return age < Ages - 1 && ticks >= Ends[age] ? age + 1 : age;
    }

    public static int CellOf(int turn, int uses) => ClassOf(turn, uses) * Ages;

    /// <summary>Place of a cell in that order.</summary>
    public int RankOf(int cell) => _ranks[cell];

    /// <summary>A block is used, or comes in. Of one that was used before its class is known better than who asks may know it.</summary>
    /// <param name="fingerprint">The block.</param>
    /// <param name="turn">Its turn, unless it is known.</param>
    /// <param name="uses">Uses of it with this one, unless they are known.</param>
    /// <param name="capacity">Blocks that are here.</param>
    /// <param name="now">The time.</param>
    public Reuse Use(ulong fingerprint, int turn, int uses, int capacity, long now)
    {
        var reuse = new Reuse { Turn = turn, Uses = uses };
        _followed.ThinOut(capacity);
        if (_followed.Follows(fingerprint))
        {
            reuse.IsFollowed = true;
            var place = _followed.Find(fingerprint);
            if (place >= 0)
            {
                ref var known = ref _followed.At(place);
                (reuse.IsKnown, reuse.WouldBeHere) = (true, known.IsInLru);
                (reuse.Turn, reuse.Uses) = (known.Turn, Math.Min(known.Uses + 1, MaxUses));
                Learn(known, now);
                _followed.MoveToNewest(place);
            }
            else
            {
                if (_followed.Superfluous() is >= 0 and var oldest)
                {
                    _followed.Forget(oldest);
                }

                place = _followed.Add(fingerprint);
            }

            ref var followed = ref _followed.At(place);
            (followed.UsedAt, followed.Turn, followed.Uses) = (now, (byte)reuse.Turn, (byte)reuse.Uses);
            reuse.LruSize = _followed.SizeLru(capacity);
        }

        var number = ClassOf(reuse.Turn, reuse.Uses);
        if (!_isSeen[number])
        {
            _isSeen[number] = true;
            Order();
        }

        return reuse;
    }

    /// <summary>Time goes on: blocks that were not used pass to the next age. Ages whose queues have to follow, a bit for each.</summary>
    public ulong Advance(long now)
    {
        var ages = 0ul;
        for (var age = Ages - 2; age >= 0; age--)
        {
            if (now < _lookAt[age])
            {
                continue;
            }

            ages |= 1ul << age;
            _lookAt[age] = now + Math.Max(StepTicks, Ends[age] / LooksPerAge);
            while (_followed.OldestOf(age) is >= 0 and var place && now - _followed.At(place).UsedAt >= Ends[age])
            {
                _passed[CellOf(_followed.At(place).Turn, _followed.At(place).Uses) + age]++;
                Count();
                _followed.Pass(place);
            }
        }

        if (_eventsToOrder <= 0)
        {
            _eventsOfOrder = Math.Min(EventsPerOrder, _eventsOfOrder + (_eventsOfOrder / 4));
            _eventsToOrder = _eventsOfOrder;
            Order();
        }

        return ages;
    }

    private void Learn(in FollowedBlocks.Followed followed, long now)
    {
        var ticks = Math.Max(0, now - followed.UsedAt);
        var age = Math.Max(AgeOf(ticks), followed.Age);
        var first = CellOf(followed.Turn, followed.Uses);
        for (var passed = followed.Age; passed < age; passed++)
        {
            _passed[first + passed]++;
        }

        _used[first + age]++;
        _sumOfAges += ticks;
        _countOfAges++;
        Count();
    }

    private static int ClassOf(int turn, int uses) => (turn * (MaxUses + 1)) + uses;

    private void Count()
    {
        _eventsToOrder--;
        if (++_events < EventsPerHalving)
        {
            return;
        }

        _events = 0;
        for (var cell = 0; cell < Cells; cell++)
        {
            _used[cell] /= 2;
            _passed[cell] /= 2;
        }

        _sumOfAges /= 2;
        _countOfAges /= 2;
    }

    /// <summary>Sorts the cells by the hazard that a block of theirs meets within the horizon.</summary>
    private void Order()
    {
        _cells = 0;
        Span<double> ofAll = stackalloc double[Ages];
        Span<double> ofTurn = stackalloc double[Ages];
        Span<double> cumulative = stackalloc double[Ages + 1];
        Span<double> likelihoods = stackalloc double[Cells];
        for (var age = 0; age < Ages; age++)
        {
            var (used, seen) = Sum(age, 0, Classes);
            ofAll[age] = (used + 0.01) / (seen + 1);
        }

        for (var number = 0; number < Classes; number++)
        {
            if (number % (MaxUses + 1) == 0)
            {
                for (var age = 0; age < Ages; age++)
                {
                    var (used, seen) = Sum(age, number, MaxUses + 1);
                    ofTurn[age] = (used + (PriorWeight * ofAll[age])) / (seen + PriorWeight);
                }
            }

            if (!_isSeen[number])
            {
                continue;
            }

            for (var age = 0; age < Ages; age++)
            {
                var cell = (number * Ages) + age;
                var own = (_used[cell] + (PriorWeight * ofTurn[age])) / (_used[cell] + _passed[cell] + PriorWeight);
                cumulative[age + 1] = cumulative[age] - Math.Log(1 - Math.Min(own, 0.999999));
            }

            for (var age = 0; age < Ages; age++)
            {
                var from = age == 0 ? 0 : Ends[age - 1];
                likelihoods[_cells] = At(cumulative, from + HorizonTicks) - cumulative[age];
                _order[_cells++] = (number * Ages) + age;
            }
        }

        likelihoods[.._cells].Sort(_order.AsSpan(0, _cells));
        for (var rank = 0; rank < _cells; rank++)
        {
            _ranks[_order[rank]] = rank;
        }

        OrderVersion++;
    }

    /// <summary>Hazard from age 0 to that age: within one of the ages it is even.</summary>
    private static double At(ReadOnlySpan<double> cumulative, double ticks)
    {
        var age = AgeOf((long)ticks);
        var from = age == 0 ? 0 : Ends[age - 1];
        return cumulative[age] + ((cumulative[age + 1] - cumulative[age]) * Math.Min(1, (ticks - from) / (Ends[age] - from)));
    }

    private (double Used, double Seen) Sum(int age, int firstClass, int classes)
    {
        var (used, passed) = (0.0, 0.0);
        for (var number = firstClass; number < firstClass + classes; number++)
        {
            used += _used[(number * Ages) + age];
            passed += _passed[(number * Ages) + age];
        }

        return (used, used + passed);
    }

    /// <summary>What was known of a block when it was used.</summary>
    internal struct Reuse
    {
        public int Turn;
        public int Uses;

        /// <summary>It was used before, here or not.</summary>
        public bool IsKnown;

        /// <summary>It is one of the blocks of whom is known what LRU would hold, <see cref="LruSize"/> of them.</summary>
        public bool IsFollowed;
        public bool WouldBeHere;
        public int LruSize;
    }
}
