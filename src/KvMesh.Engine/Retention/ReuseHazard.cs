using System.Runtime.InteropServices;

namespace KvMesh.Engine.Retention;

/// <summary>
/// The chance that a block is used again, by class and age. Every block that was used lately is followed through the ages until it is used again, whether it is
/// still here or not: so what is learned does not depend on what was kept. At most <see cref="MaxFollowed"/> blocks, 48 bytes each and their place in a table.
/// </summary>
internal sealed class ReuseHazard
{
    public const int MaxTurn = 7;
    public const int MaxUses = 4;

    /// <summary>Ages, two to each doubling: from a hundredth of a second to half a day.</summary>
    public const int Ages = 44;

    /// <summary>Classes by ages; the number of a cell is class × <see cref="Ages"/> + age.</summary>
    public const int Cells = Classes * Ages;

    public const int MaxFollowed = 1 << 17;

    private const int Classes = (MaxTurn + 1) * (MaxUses + 1);

    /// <summary>Steps of time in which blocks get older, also the end of the first age: 10 ms.</summary>
    private const long StepTicks = 10 * TimeSpan.TicksPerMillisecond;

    /// <summary>What was seen counts half after so many ages passed or ended.</summary>
    private const int EventsPerHalving = 1 << 20;

    /// <summary>A new order after so many.</summary>
    private const int EventsPerOrder = 16384;

    /// <summary>Observations of the coarser estimate, all classes together or all of a turn, that a class's own weigh up.</summary>
    private const double PriorWeight = 100;

    private static readonly long[] Ends = [.. Enumerable.Range(0, Ages).Select(age => (long)(StepTicks * Math.Pow(2, age / 2.0)))];

    private readonly Dictionary<ulong, int> _places = [];
    private readonly List<Followed> _followed = [];
    private readonly (int Oldest, int Newest)[] _byAge = new (int, int)[Ages];
    private readonly double[] _used = new double[Cells];
    private readonly double[] _passed = new double[Cells];
    private readonly double[] _likelihoods = new double[Cells];
    private readonly int[] _order = [.. Enumerable.Range(0, Cells)];
    private readonly int[] _ranks = new int[Cells];
    private readonly bool[] _isSeen = new bool[Classes];
    private int _cells;
    private int _events;
    private int _eventsToOrder;
    private double _sumOfAges;
    private double _countOfAges;
    private long _steppedAt;
    private int _free = -1;

    public ReuseHazard() => Array.Fill(_byAge, (-1, -1));

    /// <summary>Cells of all classes that were seen, those first whose blocks are least likely to be used within the horizon.</summary>
    public ReadOnlySpan<int> LeastLikelyFirst => _order.AsSpan(0, _cells);

    /// <summary>Changes with each new order.</summary>
    public int OrderVersion { get; private set; }

    /// <summary>How far ahead a use counts: the mean age at which blocks are used again, in ticks.</summary>
    public double HorizonTicks => _countOfAges > 0 ? _sumOfAges / _countOfAges : Ends[Ages / 2];

    public static long EndOf(int age) => Ends[age];

    public static int AgeOf(long ticks)
    {
        var age = ticks < StepTicks ? 0 : Math.Min(Ages - 1, 1 + (int)(2 * Math.Log2((double)ticks / StepTicks)));
        while (age < Ages - 1 && ticks >= Ends[age])
        {
            age++;
        }

        return age;
    }

    /// <summary>Place of a cell in that order.</summary>
    public int RankOf(int cell) => _ranks[cell];

    /// <summary>A block was used or came back. False: it was not followed.</summary>
    public bool TryUse(ulong fingerprint, long now, out int turn, out int uses)
    {
        turn = uses = 0;
        if (!_places.Remove(fingerprint, out var place))
        {
            return false;
        }

        ref var followed = ref At(place);
        (turn, uses) = (followed.Turn, followed.Uses);
        var ticks = Math.Max(0, now - followed.UsedAt);
        var age = Math.Max(AgeOf(ticks), followed.Age);
        var first = ClassOf(turn, uses) * Ages;
        for (var passed = followed.Age; passed < age; passed++)
        {
            _passed[first + passed]++;
        }

        _used[first + age]++;
        _sumOfAges += ticks;
        _countOfAges++;
        Count();
        Unlink(place);
        followed.Newer = _free;
        _free = place;
        return true;
    }

    /// <summary>Follows a block from now on. Returns the cell of its class at age 0.</summary>
    public int Start(ulong fingerprint, int turn, int uses, long now)
    {
        if (_places.ContainsKey(fingerprint))
        {
            TryUse(fingerprint, now, out _, out _);
        }

        if (_places.Count == MaxFollowed)
        {
            ForgetOldest();
        }

        var place = _free;
        if (place >= 0)
        {
            _free = At(place).Newer;
        }
        else
        {
            place = _followed.Count;
            _followed.Add(default);
        }

        At(place) = new Followed { Fingerprint = fingerprint, UsedAt = now, Turn = (byte)turn, Uses = (byte)uses };
        _places.Add(fingerprint, place);
        Link(place, age: 0);
        var number = ClassOf(turn, uses);
        if (!_isSeen[number])
        {
            _isSeen[number] = true;
            Order();
        }

        return number * Ages;
    }

    /// <summary>Time goes on: blocks that were not used pass to the next age. True when queues by age have to follow.</summary>
    public bool Advance(long now)
    {
        if (now - _steppedAt < StepTicks)
        {
            return false;
        }

        _steppedAt = now;
        for (var age = Ages - 2; age >= 0; age--)
        {
            while (_byAge[age].Oldest is >= 0 and var place && now - At(place).UsedAt >= Ends[age])
            {
                _passed[(ClassOf(At(place).Turn, At(place).Uses) * Ages) + age]++;
                Count();
                Unlink(place);
                Link(place, age + 1);
            }
        }

        if (_eventsToOrder <= 0)
        {
            Order();
        }

        return true;
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
        _eventsToOrder = EventsPerOrder;
        _cells = 0;
        Span<double> ofAll = stackalloc double[Ages];
        Span<double> cumulative = stackalloc double[Ages + 1];
        for (var age = 0; age < Ages; age++)
        {
            var (used, seen) = Sum(age, 0, Classes);
            ofAll[age] = (used + 0.01) / (seen + 1);
        }

        for (var number = 0; number < Classes; number++)
        {
            if (!_isSeen[number])
            {
                continue;
            }

            var turn = number / (MaxUses + 1);
            for (var age = 0; age < Ages; age++)
            {
                var (used, seen) = Sum(age, turn * (MaxUses + 1), MaxUses + 1);
                var ofTurn = (used + (PriorWeight * ofAll[age])) / (seen + PriorWeight);
                var cell = (number * Ages) + age;
                var own = (_used[cell] + (PriorWeight * ofTurn)) / (_used[cell] + _passed[cell] + PriorWeight);
                cumulative[age + 1] = cumulative[age] - Math.Log(1 - Math.Min(own, 0.999999));
            }

            for (var age = 0; age < Ages; age++)
            {
                var from = age == 0 ? 0 : Ends[age - 1];
                _likelihoods[(number * Ages) + age] = At(cumulative, from + HorizonTicks) - cumulative[age];
                _order[_cells++] = (number * Ages) + age;
            }
        }

        _order.AsSpan(0, _cells).Sort((left, right) => _likelihoods[left].CompareTo(_likelihoods[right]));
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

    private void ForgetOldest()
    {
        var age = Ages - 1;
        while (_byAge[age].Oldest < 0)
        {
            age--;
        }

        var place = _byAge[age].Oldest;
        _places.Remove(At(place).Fingerprint);
        Unlink(place);
        At(place).Newer = _free;
        _free = place;
    }

    private ref Followed At(int place) => ref CollectionsMarshal.AsSpan(_followed)[place];

    private void Link(int place, int age)
    {
        ref var followed = ref At(place);
        ref var ends = ref _byAge[age];
        (followed.Age, followed.Older, followed.Newer) = ((byte)age, ends.Newest, -1);
        if (ends.Newest >= 0)
        {
            At(ends.Newest).Newer = place;
        }
        else
        {
            ends.Oldest = place;
        }

        ends.Newest = place;
    }

    private void Unlink(int place)
    {
        ref var followed = ref At(place);
        ref var ends = ref _byAge[followed.Age];
        if (followed.Newer >= 0)
        {
            At(followed.Newer).Older = followed.Older;
        }
        else
        {
            ends.Newest = followed.Older;
        }

        if (followed.Older >= 0)
        {
            At(followed.Older).Newer = followed.Newer;
        }
        else
        {
            ends.Oldest = followed.Newer;
        }
    }

    private struct Followed
    {
        public ulong Fingerprint;
        public long UsedAt;
        public int Older;
        public int Newer;
        public byte Turn;
        public byte Uses;
        public byte Age;
    }
}
