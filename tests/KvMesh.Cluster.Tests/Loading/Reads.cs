using System.Collections.Immutable;
using KvMesh.Cluster.Loading;

namespace KvMesh.Cluster.Tests.Loading;

/// <summary>Inputs for plans, and the least time of any plan by trying all.</summary>
internal static class Reads
{
    public static LoadSource Source(string name, double bytesPerSecond, double latencySeconds = 0, long queuedBytes = 0) =>
        new(name, SourceKind.Peer, bytesPerSecond, TimeSpan.FromSeconds(latencySeconds)) { QueuedBytes = queuedBytes };

    public static ImmutableArray<HeldBlock> Equal(int count, int tokens, long bytes, params int[] sources) =>
        [.. Enumerable.Repeat(new HeldBlock(tokens, bytes, [.. sources]), count)];

    public static ReadInput Input(ImmutableArray<HeldBlock> blocks, PrefillRate prefill, params LoadSource[] sources) =>
        new() { Blocks = blocks, Prefill = prefill, Sources = [.. sources] };

    /// <summary>Up to eight blocks of any size on up to three sources.</summary>
    public static ReadInput Mixed(Random random)
    {
        var sources = Enumerable.Range(0, random.Next(1, 4))
            .Select(index => Source($"s{index}", 1e6 * Math.Pow(10, random.NextDouble() * 3), random.NextDouble() * 0.01, random.Next(3) * 1_000_000)).ToArray();
        var blocks = Enumerable.Range(0, random.Next(1, 8)).Select(_ => new HeldBlock(
            random.Next(1, 257), random.Next(1, 8_000_000), [.. Enumerable.Range(0, sources.Length).Where(_ => random.Next(2) == 0).DefaultIfEmpty(random.Next(sources.Length))]));
        return Input([.. blocks], new PrefillRate(1e-4 * (1 + random.NextDouble()), random.Next(2) * 1e-6), sources) with
        {
            WorkerFreeIn = TimeSpan.FromSeconds(random.Next(2) * random.NextDouble() * 0.05),
        };
    }

    /// <summary>The least time over all choices of a way for each block, with the order of fetches that is best for each: that of the chain.</summary>
    public static double Least(ReadInput input)
    {
        var choice = new int[input.Blocks.Length];
        var least = double.PositiveInfinity;
        Choose(input, choice, 0, ref least);
        return least;
    }

    private static void Choose(ReadInput input, int[] choice, int block, ref double least)
    {
        if (block == choice.Length)
        {
            least = Math.Min(least, Time(input, choice));
            return;
        }

        choice[block] = PlannedBlock.Computed;
        Choose(input, choice, block + 1, ref least);
        foreach (var source in input.Blocks[block].Sources)
        {
            choice[block] = source;
            Choose(input, choice, block + 1, ref least);
        }
    }

    private static double Time(ReadInput input, int[] choice)
    {
        var clocks = input.Sources.Select(source => source.Latency.TotalSeconds + (source.QueuedBytes / source.BytesPerSecond)).ToArray();
        var worker = input.WorkerFreeIn.TotalSeconds;
        var (time, position) = (0.0, 0L);
        for (var block = 0; block < choice.Length; block++)
        {
            var held = input.Blocks[block];
            if (choice[block] == PlannedBlock.Computed)
            {
                worker = Math.Max(worker, time) + input.Prefill.Seconds(position, position + held.Tokens);
                time = worker;
            }
            else
            {
                clocks[choice[block]] += held.Bytes / input.Sources[choice[block]].BytesPerSecond;
                if (input.Deadline != Timeout.InfiniteTimeSpan && clocks[choice[block]] > input.Deadline.TotalSeconds)
                {
                    return double.PositiveInfinity;
                }

                time = Math.Max(time, clocks[choice[block]]);
            }

            position += held.Tokens;
        }

        return time;
    }
}
