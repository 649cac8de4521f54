using KvMesh.LoadTest.Verbs;

namespace KvMesh.LoadTest.Measuring;

/// <summary>One of the programs, or loops, that do the same work.</summary>
/// <param name="Name">As the report shows it.</param>
/// <param name="Run">Does the work once and says what it came to.</param>
internal sealed record Contender(string Name, Func<Sample> Run);

/// <summary>
/// Lets contenders take turns, forwards and backwards, so that what changes on the machine meanwhile meets all of them. The
/// first run of each is for warming up and is not kept, nor is a run during which other processes were busy, as far as patience goes.
/// </summary>
internal static class PairedRuns
{
    /// <summary>Runs that are made again at most before a disturbed one is kept.</summary>
    private const int MaxDisturbed = 4;

    public static IReadOnlyList<Series> Measure(IReadOnlyList<Contender> contenders, RunSettings settings, bool warmUp = true)
    {
        Series[] series = [.. contenders.Select(contender => new Series(contender.Name))];
        if (warmUp)
        {
            foreach (var contender in contenders)
            {
                _ = contender.Run();
            }
        }

        for (var repeat = 0; repeat < settings.Repeats; repeat++)
        {
            for (var turn = 0; turn < contenders.Count; turn++)
            {
                var index = repeat % 2 == 0 ? turn : contenders.Count - 1 - turn;
                series[index].Add(RunUndisturbed(contenders[index], settings));
            }
        }

        return series;
    }

    private static Sample RunUndisturbed(Contender contender, RunSettings settings)
    {
        for (var disturbed = 0; ; disturbed++)
        {
            Neighbours.AwaitQuiet(settings.Patience);
            var sample = contender.Run();
            if (sample.OtherCores <= Neighbours.MaxCores || disturbed == MaxDisturbed || settings.Patience == TimeSpan.Zero)
            {
                return sample;
            }
        }
    }
}
