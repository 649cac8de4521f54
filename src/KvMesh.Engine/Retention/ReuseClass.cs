using System.Numerics;

namespace KvMesh.Engine.Retention;

/// <summary>What is known of a block, as far as its chance of reuse is learned from it.</summary>
/// <param name="Turn">In which turn of its chain it came: 0 is the first.</param>
/// <param name="Uses">How often it was used since, up to <see cref="MaxUses"/>.</param>
/// <param name="Gap">Time between the last two uses of it, or of the block that it follows: an interval of <see cref="GapOf"/>, 0 when there were no two.</param>
internal readonly record struct ReuseClass(byte Turn, byte Uses, byte Gap)
{
    public const int MaxTurn = 3;
    public const int MaxUses = 3;

    /// <summary>Intervals of gaps, and none.</summary>
    public const int Gaps = 6;

    /// <summary>Classes that share turn and uses, or the turn.</summary>
    public const int PerUses = Gaps;
    public const int PerTurn = (MaxUses + 1) * Gaps;

    public const int Count = (MaxTurn + 1) * PerTurn;

    /// <summary>All classes by their number.</summary>
    public static IEnumerable<ReuseClass> All =>
        from turn in Enumerable.Range(0, MaxTurn + 1)
        from uses in Enumerable.Range(0, MaxUses + 1)
        from gap in Enumerable.Range(0, Gaps)
        select new ReuseClass((byte)turn, (byte)uses, (byte)gap);

    /// <summary>Its place among the classes: those of a turn are neighbours, and among them those of as many uses.</summary>
    public int Number => (Turn * PerTurn) + (Uses * PerUses) + Gap;

    /// <summary>The interval of <see cref="GapOf"/>: from so much on, and less than so much; null where there were no two uses, or without limit.</summary>
    public (TimeSpan? From, TimeSpan? To) GapBounds => Gap switch
    {
        0 => (null, null),
        1 => (TimeSpan.Zero, TimeSpan.FromSeconds(1)),
        _ => (TimeSpan.FromSeconds(1 << (3 * (Gap - 2))), Gap == Gaps - 1 ? null : TimeSpan.FromSeconds(1 << (3 * (Gap - 1)))),
    };

    /// <summary>A block that comes in.</summary>
    public static ReuseClass Of(int turn, int gap) => new((byte)Math.Min(turn, MaxTurn), 0, (byte)gap);

    /// <summary>The class after another use, so many ticks behind the one before.</summary>
    public ReuseClass Used(long ticks) => new(Turn, (byte)Math.Min(Uses + 1, MaxUses), (byte)GapOf(ticks));

    /// <summary>1 for less than a second, one more for each eight times as long.</summary>
    public static int GapOf(long ticks) =>
        ticks < TimeSpan.TicksPerSecond ? 1 : Math.Min(Gaps - 1, 2 + (BitOperations.Log2((ulong)(ticks / TimeSpan.TicksPerSecond)) / 3));
}
