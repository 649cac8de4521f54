namespace KvMesh.Cluster.Membership;

/// <summary>
/// How long a member rests between two turns, so that many of them together do not press the store: heartbeats drift apart, hints that come in a
/// herd cost one beat in a time that grows with the cluster, a slow store is asked less often, and one that refuses less and less.
/// </summary>
internal sealed class BeatPace(TimeSpan interval, Random random)
{
    /// <summary>Part of an interval by which beats differ: members that began at one moment are spread evenly after some ten beats.</summary>
    private const double Drift = 0.1;

    /// <summary>Part of a rest after a refusal by which members differ: they come back over a second, not at once.</summary>
    private const double Scatter = 0.25;

    /// <summary>Most intervals between two attempts: less than the failure time, so that nobody is missed when the store is back.</summary>
    private const int MostIntervals = 3;

    private static readonly TimeSpan LeastFloor = TimeSpan.FromMilliseconds(100);

    // With a thousand members hints bring nothing any more: all that happens comes with the regular beats, 2,000 a second.
    private static readonly TimeSpan FloorPerMember = TimeSpan.FromMilliseconds(0.4);

    // A beat costs a Redis 20 to 30 µs.
    private static readonly TimeSpan SpreadPerMember = TimeSpan.FromMilliseconds(0.1);

    /// <summary>The rest after a turn.</summary>
    /// <param name="members">Nodes in the view.</param>
    /// <param name="took">Time that the turn took.</param>
    /// <param name="refusals">Turns in a row in which the store could not be asked; 0: it answered, or may yet.</param>
    public BeatRest After(int members, TimeSpan took, int refusals)
    {
        if (refusals > 0)
        {
            var pause = interval * Math.Min(refusals + 1, MostIntervals) * Around(Scatter);
            return new BeatRest(pause, pause, TimeSpan.Zero);
        }

        var full = interval * Around(Drift);
        var floor = Longer(LeastFloor + (FloorPerMember * members), took);
        var least = floor < full ? floor : full;
        return new BeatRest(least, Longer(full - took, least), SpreadPerMember * members * random.NextDouble());
    }

    private static TimeSpan Longer(TimeSpan one, TimeSpan other) => one > other ? one : other;

    private double Around(double part) => 1 - part + (2 * part * random.NextDouble());
}

/// <summary>A rest between two turns.</summary>
/// <param name="Least">No hint ends it before.</param>
/// <param name="Most">It ends after this.</param>
/// <param name="AfterHint">How long a member waits after a hint that all have got.</param>
internal readonly record struct BeatRest(TimeSpan Least, TimeSpan Most, TimeSpan AfterHint);
