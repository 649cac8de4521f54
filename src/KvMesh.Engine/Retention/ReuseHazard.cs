using System.Collections.Immutable;
using System.Numerics;

namespace KvMesh.Engine.Retention;

/// <summary>
/// The chance that a block is used again, by class and age. Every block that was used lately is followed through the ages until it is used again, whether it is
/// still here or not: so what is learned does not depend on what was kept (<see cref="FollowedBlocks"/>).
/// </summary>
internal sealed class ReuseHazard
{
    /// <summary>Ages, two to each doubling: from a hundredth of a second to half a day.</summary>
    public const int Ages = 44;

    /// <summary>Classes by ages; the number of a cell is class × <see cref="Ages"/> + age.</summary>
    public const int Cells = ReuseClass.Count * Ages;

    /// <summary>Steps of time in which blocks get older, also the end of the first age: 10 ms.</summary>
    public const long StepTicks = 10 * TimeSpan.TicksPerMillisecond;

    /// <summary>An age is looked through for blocks that leave it so many times until its end.</summary>
    private const int LooksPerAge = 32;

    /// <summary>What was seen counts half after so many ages passed or ended.</summary>
    private const int EventsPerHalving = 1 << 20;

    /// <summary>A new order after so many at first, then after a quarter of those that were seen, and after so many at most.</summary>
    private const int FirstOrder = 8192;
    private const int EventsPerOrder = 1 << 17;

    /// <summary>Looks as far ahead as so many times the time for which LRU would keep a block that is not used.</summary>
    private const double HorizonOfLru = 2;

    /// <summary>Observations of the coarser estimate (all classes together, those of a turn, those of a turn and as many uses) that a class's own weigh up.</summary>
    private const double PriorWeight = 100;

    private static readonly long[] Ends = [.. Enumerable.Range(0, Ages).Select(age => (long)(StepTicks * Math.Pow(2, age / 2.0)))];

    private readonly FollowedBlocks _followed = new(Ages);
    private readonly long[] _lookAt = new long[Ages];
    private readonly double[] _used = new double[Cells];
    private readonly double[] _passed = new double[Cells];
    private readonly int[] _order = [.. Enumerable.Range(0, Cells)];
    private readonly int[] _ranks = new int[Cells];
    private readonly double[] _expected = new double[Cells];
    private readonly bool[] _isSeen = new bool[ReuseClass.Count];
    private int _cells;
    private int _events;
    private int _eventsToOrder = FirstOrder;
    private int _eventsOfOrder = FirstOrder;
    private double _sumOfAges;
    private double _countOfAges;
    private Turnover _turnover = new();

    /// <summary>Cells of all classes that were seen, those first whose blocks are least likely to be used within the horizon.</summary>
    public ReadOnlySpan<int> LeastLikelyFirst => _order.AsSpan(0, _cells);

    /// <summary>Whether anything was seen that an order was made of.</summary>
    public bool IsLearned => _eventsOfOrder > FirstOrder;

    /// <summary>Changes with each new order.</summary>
    public int OrderVersion { get; private set; }

    /// <summary>How far ahead a use counts, in ticks: the mean age at which blocks are used again, and less where there is room for a short while only.</summary>
    public double HorizonTicks => Math.Min(HorizonOfLru * _turnover.Ticks, MeanAgeTicks);

    /// <summary>The mean age at which blocks are used again.</summary>
    private double MeanAgeTicks => _countOfAges > 0 ? _sumOfAges / _countOfAges : Ends[Ages / 2];

    public static long EndOf(int age) => Ends[age];

    public static int AgeOf(long ticks)
    {
        var age = ticks < StepTicks ? 0 : Math.Min(Ages - 1, 1 + (2 * BitOperations.Log2((ulong)(ticks / StepTicks))));
        return age < Ages - 1 && ticks >= Ends[age] ? age + 1 : age;
    }

    /// <summary>The first cell of a class.</summary>
    public static int CellOf(ReuseClass reuseClass) => reuseClass.Number * Ages;

    /// <summary>Place of a cell in that order.</summary>
    public int RankOf(int cell) => _ranks[cell];

    /// <summary>Uses that a block of a cell has met, from there on and within the mean age at which blocks are used again, as of the last order.</summary>
    public double ExpectedUses(int cell) => Volatile.Read(ref _expected[cell]);

    /// <summary>A block is used, or comes in. Of one that was used before its class is known better than who asks may know it.</summary>
    /// <param name="fingerprint">The block.</param>
    /// <param name="reuseClass">Its class with this use, unless that is known.</param>
    /// <param name="capacity">Blocks that are here.</param>
    /// <param name="now">The time.</param>
    public Reuse Use(ulong fingerprint, ReuseClass reuseClass, int capacity, long now)
    {
        var reuse = new Reuse { Class = reuseClass };
        _followed.ThinOut(capacity);
        if (_followed.Follows(fingerprint))
        {
            reuse.IsFollowed = true;
            var place = _followed.Find(fingerprint);
            if (place != FollowedBlocks.None)
            {
                ref readonly var known = ref _followed.At(place);
                (reuse.IsKnown, reuse.WouldBeHere) = (true, _followed.IsInLru(place));
                reuse.Class = known.Class.Used(now - known.At);
                Learn(known, place, now);
            }

            _followed.Add(new FollowedUse(fingerprint, now, reuse.Class));
            reuse.LruSize = _followed.SizeLru(capacity);
            _turnover.Note(entered: !reuse.WouldBeHere, reuse.LruSize, now);
        }

        ref var isSeen = ref _isSeen[reuse.Class.Number];
        if (!isSeen)
        {
            isSeen = true;
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
            while (_followed.TryPass(age, now - Ends[age], out var place))
            {
                _passed[CellOf(_followed.At(place).Class) + age]++;
                Count();
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

    /// <summary>What was learned until now, for people: it changes nothing.</summary>
    public LearnedReuse Learned(bool followsLru)
    {
        var chances = new double[Cells];
        EstimateAll(chances);
        var classes = ReuseClass.All.Where(reuseClass => _isSeen[reuseClass.Number]).Select(reuseClass => Learned(reuseClass, chances));
        return new LearnedReuse(HorizonTicks / TimeSpan.TicksPerSecond, _followed.OneIn, followsLru, [.. classes]);
    }

    private LearnedClass Learned(ReuseClass reuseClass, double[] chances)
    {
        var first = CellOf(reuseClass);
        var cumulative = new double[Ages + 1];
        Accumulate(chances.AsSpan(first, Ages), cumulative);
        var ages = Enumerable.Range(0, Ages).Select(age => new LearnedAge(
            age == Ages - 1 ? null : (double)Ends[age] / TimeSpan.TicksPerSecond, _used[first + age] + _passed[first + age], _used[first + age], chances[first + age],
            1 - Math.Exp(-Ahead(cumulative, age, HorizonTicks)))).ToImmutableArray();
        var (from, to) = reuseClass.GapBounds;
        return new LearnedClass(reuseClass.Turn, reuseClass.Uses, from?.TotalSeconds, to?.TotalSeconds, ages[0].Touches, ages.Sum(age => age.Reuses), ages);
    }

    private void Learn(in FollowedUse followed, long place, long now)
    {
        var ticks = Math.Max(0, now - followed.At);
        var age = AgeOf(ticks);
        var first = CellOf(followed.Class);
        for (var passed = _followed.AgesPassed(place, age); passed < age; passed++)
        {
            _passed[first + passed]++;
        }

        _used[first + age]++;
        _sumOfAges += ticks;
        _countOfAges++;
        Count();
    }

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

    /// <summary>Sorts the cells by the hazard that a block of theirs meets within the horizon, and notes what is to be expected of each.</summary>
    private void Order()
    {
        _cells = 0;
        Span<double> chances = stackalloc double[Cells];
        Span<double> cumulative = stackalloc double[Ages + 1];
        Span<double> likelihoods = stackalloc double[Cells];
        EstimateAll(chances);
        for (var number = 0; number < ReuseClass.Count; number++)
        {
            if (!_isSeen[number])
            {
                continue;
            }

            Accumulate(chances.Slice(number * Ages, Ages), cumulative);
            for (var age = 0; age < Ages; age++)
            {
                var cell = (number * Ages) + age;
                likelihoods[_cells] = Ahead(cumulative, age, HorizonTicks);
                _order[_cells++] = cell;
                Volatile.Write(ref _expected[cell], Ahead(cumulative, age, MeanAgeTicks));
            }
        }

        likelihoods[.._cells].Sort(_order.AsSpan(0, _cells));
        for (var rank = 0; rank < _cells; rank++)
        {
            _ranks[_order[rank]] = rank;
        }

        OrderVersion++;
    }

    /// <summary>The hazard that a block meets from age 0 to the end of each age.</summary>
    private static void Accumulate(ReadOnlySpan<double> chances, Span<double> cumulative)
    {
        cumulative[0] = 0;
        for (var age = 0; age < Ages; age++)
        {
            cumulative[age + 1] = cumulative[age] - Math.Log(1 - Math.Min(chances[age], 0.999999));
        }
    }

    /// <summary>The hazard that a block which reached an age meets within so many ticks.</summary>
    private static double Ahead(ReadOnlySpan<double> cumulative, int age, double ticks) =>
        At(cumulative, (age == 0 ? 0 : Ends[age - 1]) + ticks) - cumulative[age];

    /// <summary>For each class that was seen, and each age, the chance that a block of it is used before it passes that age.</summary>
    private void EstimateAll(Span<double> chances)
    {
        Span<double> ofAll = stackalloc double[Ages];
        Span<double> ofTurn = stackalloc double[Ages];
        Span<double> ofUses = stackalloc double[Ages];
        ofUses.Clear();
        Estimate(0, ReuseClass.Count, ofUses, ofAll);
        for (var number = 0; number < ReuseClass.Count; number++)
        {
            if (number % ReuseClass.PerTurn == 0)
            {
                Estimate(number, ReuseClass.PerTurn, ofAll, ofTurn);
            }

            if (number % ReuseClass.PerUses == 0)
            {
                Estimate(number, ReuseClass.PerUses, ofTurn, ofUses);
            }

            if (_isSeen[number])
            {
                Estimate(number, 1, ofUses, chances.Slice(number * Ages, Ages));
            }
        }
    }

    /// <summary>
    /// The chance that a block of some classes is used before it passes an age, for each age: what was seen at that age and the two beside it, and
    /// the coarser estimate.
    /// </summary>
    private void Estimate(int firstClass, int classes, ReadOnlySpan<double> coarser, Span<double> chances)
    {
        Span<double> used = stackalloc double[Ages + 2];
        Span<double> seen = stackalloc double[Ages + 2];
        used.Clear();
        seen.Clear();
        for (var number = firstClass; number < firstClass + classes; number++)
        {
            for (var age = 0; _isSeen[number] && age < Ages; age++)
            {
                var cell = (number * Ages) + age;
                used[age + 1] += _used[cell];
                seen[age + 1] += _used[cell] + _passed[cell];
            }
        }

        for (var age = 0; age < Ages; age++)
        {
            chances[age] = (used[age] + used[age + 1] + used[age + 2] + (PriorWeight * coarser[age])) / (seen[age] + seen[age + 1] + seen[age + 2] + PriorWeight);
        }
    }

    /// <summary>Hazard from age 0 to that age: within one of the ages it is even.</summary>
    private static double At(ReadOnlySpan<double> cumulative, double ticks)
    {
        var age = AgeOf((long)ticks);
        var from = age == 0 ? 0 : Ends[age - 1];
        return cumulative[age] + ((cumulative[age + 1] - cumulative[age]) * Math.Min(1, (ticks - from) / (Ends[age] - from)));
    }

    /// <summary>The mean time in which LRU lets in as many blocks as it has room for. A mean, since requests may come in bursts.</summary>
    private struct Turnover()
    {
        private const double WeightOfNewest = 0.125;

        private int _entered;
        private long _since = long.MinValue;

        /// <summary>Ticks; without limit until they are known.</summary>
        public double Ticks { get; private set; } = double.MaxValue;

        public void Note(bool entered, int size, long now)
        {
            _entered += entered ? 1 : 0;
            if (_entered < size)
            {
                return;
            }

            if (_since != long.MinValue)
            {
                double last = now - _since;
                Ticks = Ticks == double.MaxValue ? last : Ticks + (WeightOfNewest * (last - Ticks));
            }

            (_entered, _since) = (0, now);
        }
    }

    /// <summary>What was known of a block when it was used.</summary>
    internal struct Reuse
    {
        public ReuseClass Class;

        /// <summary>It was used before, here or not.</summary>
        public bool IsKnown;

        /// <summary>It is one of the blocks of whom is known what LRU would hold, <see cref="LruSize"/> of them.</summary>
        public bool IsFollowed;
        public bool WouldBeHere;
        public int LruSize;
    }
}
