namespace KvMesh.LoadTest.Measuring;

/// <summary>One of the programs, or loops, that do the same work.</summary>
/// <param name="Name">As the report shows it.</param>
/// <param name="Run">Does the work once and says what it came to.</param>
internal sealed record Contender(string Name, Func<Sample> Run);

/// <summary>
/// Lets contenders take turns, forwards and backwards, so that what changes on the machine meanwhile meets all of them. The
/// first run of each is for warming up and is not kept.
/// </summary>
internal static class PairedRuns
{
    public static IReadOnlyList<Series> Measure(IReadOnlyList<Contender> contenders, int repeats, bool warmUp = true)
    {
        Series[] series = [.. contenders.Select(contender => new Series(contender.Name))];
        if (warmUp)
        {
            foreach (var contender in contenders)
            {
                _ = contender.Run();
            }
        }

        for (var repeat = 0; repeat < repeats; repeat++)
        {
            for (var turn = 0; turn < contenders.Count; turn++)
            {
                var index = repeat % 2 == 0 ? turn : contenders.Count - 1 - turn;
                series[index].Add(contenders[index].Run());
            }
        }

        return series;
    }
}
