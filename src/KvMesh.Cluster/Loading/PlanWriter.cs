using System.Globalization;

namespace KvMesh.Cluster.Loading;

/// <summary>Writes down what was decided: times, runs, and why.</summary>
internal static class PlanWriter
{
    public static ReadPlan Write(ReadInput input, bool[] isComputed)
    {
        var times = new Timetable(input);
        times.Fill(static _ => true);
        var computeAll = times.Total;
        times.Fill(static _ => false);
        var fetchAll = times.Total;
        times.Fill(block => isComputed[block]);
        return new ReadPlan
        {
            Blocks = [.. Enumerable.Range(0, isComputed.Length).Select(block => new PlannedBlock(times.Sources[block], Span(times.Begins[block]), Span(times.Ends[block])))],
            Parts = [.. Parts(input, times).OrderBy(part => part.Begin)],
            FetchOrder = [.. times.FetchOrder()],
            Time = Span(times.Total),
            ComputeAllTime = Span(computeAll),
            FetchAllTime = Span(fetchAll),
            ComputedBlocks = isComputed.Count(computed => computed),
            FetchedBytes = Enumerable.Range(0, isComputed.Length).Where(block => !isComputed[block]).Sum(block => input.Blocks[block].Bytes),
            SplitBlock = times.Tail(),
        };
    }

    private static IEnumerable<ReadPart> Parts(ReadInput input, Timetable times)
    {
        var sources = times.Sources;
        for (int first = 0, next; first < sources.Length; first = next)
        {
            for (next = first + 1; next < sources.Length && sources[next] == sources[first]; next++)
            {
            }

            var begin = times.Begins.AsSpan(first, next - first);
            var ends = times.Ends.AsSpan(first, next - first);
            var (begins, end) = (Least(begin), Most(ends));
            var reason = sources[first] == PlannedBlock.Computed ? WhyComputed(input, times, first, next, end) : WhyFetched(input, times, first, next, end);
            yield return new ReadPart(first, next - first, sources[first], Span(begins), Span(end), reason);
        }
    }

    private static string WhyComputed(ReadInput input, Timetable times, int first, int next, double end)
    {
        // What fetching this part behind everything that is fetched anyway would take, each block from the source that has it first.
        var clocks = input.Sources.Select((_, source) => times.ClockOf(source)).ToArray();
        var (last, slowest) = (0.0, 0);
        for (var block = first; block < next; block++)
        {
            var bytes = input.Blocks[block].Bytes;
            var best = input.Blocks[block].Sources.MinBy(source => clocks[source] + (bytes / input.Sources[source].BytesPerSecond));
            clocks[best] += bytes / input.Sources[best].BytesPerSecond;
            (last, slowest) = clocks[best] >= last ? (clocks[best], best) : (last, slowest);
        }

        var late = last > input.DeadlineSeconds ? ", after the deadline" : "";
        return string.Create(CultureInfo.InvariantCulture, $"computed by {end:0.0000} s; behind what is fetched, {input.Sources[slowest].Name} would deliver it by {last:0.0000} s{late}");
    }

    private static string WhyFetched(ReadInput input, Timetable times, int first, int next, double end)
    {
        var computed = Math.Max(times.ComputeEnd, input.WorkerFreeIn.TotalSeconds);
        for (var block = first; block < next; block++)
        {
            computed += times.ComputeSeconds(block);
        }

        return string.Create(
            CultureInfo.InvariantCulture, $"{input.Sources[times.Sources[first]].Name} delivers it by {end:0.0000} s; behind what is computed, the worker would have it by {computed:0.0000} s");
    }

    private static double Least(ReadOnlySpan<double> values)
    {
        var least = double.PositiveInfinity;
        foreach (var value in values)
        {
            least = Math.Min(least, value);
        }

        return least;
    }

    private static double Most(ReadOnlySpan<double> values)
    {
        var most = 0.0;
        foreach (var value in values)
        {
            most = Math.Max(most, value);
        }

        return most;
    }

    /// <summary>Seconds as a time; what never comes is the longest time there is.</summary>
    private static TimeSpan Span(double seconds) => seconds < TimeSpan.MaxValue.TotalSeconds / 2 ? TimeSpan.FromSeconds(seconds) : TimeSpan.MaxValue;
}
