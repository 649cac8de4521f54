using System.Diagnostics;
using KvMesh.TestKit;

namespace KvMesh.LoadTest.Faults;

/// <summary>Lets a fault happen under the workload and says what it did.</summary>
internal static class FaultRunner
{
    /// <summary>Part of the hit ratio before at which a fault counts as overcome.</summary>
    private const double Recovered = 0.95;

    /// <summary>Gets that must happen during a fault, so that the row proves something on a slow machine too.</summary>
    private const long LeastGets = 100;

    /// <summary>Hit ratio of clients from which on theirs is one that a fault can spoil: a node that has just joined is cold.</summary>
    private const double Warm = 0.8;

    /// <param name="fault">Its disposal is the caller's, also after a failure.</param>
    /// <param name="bench">A mesh that is whole, and its workload.</param>
    public static async Task<FaultRow> RunAsync(Fault fault, FaultBench bench)
    {
        await fault.PrepareAsync(bench);
        var pinned = await bench.HoldPinAsync(fault.PinWriter(bench));
        await bench.Workload.SettleAsync();
        var warm = bench.Workload.Traffic.Watch(fault.Hurt(bench), Warm);
        await Eventually.Holds(() => Task.FromResult(warm.Recovery is not null), () => $"warm clients of the nodes that '{fault.Name}' will hit: {warm}");
        return await MeasureAsync(fault, bench, pinned);
    }

    private static async Task<FaultRow> MeasureAsync(Fault fault, FaultBench bench, PinnedChain pinned)
    {
        var (workload, traffic) = (bench.Workload, bench.Workload.Traffic);
        var homes = fault.Hurt(bench);
        var losses = bench.Mesh.DataLosses;
        var before = await RatioAsync(bench, homes);
        var start = traffic.Counts;
        var (startHurt, startOthers) = (traffic.CountsAt(homes), traffic.CountsAt(homes, isAtOneOfThem: false));
        var startedAt = Stopwatch.GetTimestamp();
        traffic.TakeSlowest();
        await fault.BreakAsync(bench);
        await Task.Delay(fault.Duration(bench.Settings), CancellationToken.None);
        await workload.PassAsync(LeastGets);
        await fault.HoldsAsync(bench);
        await IsReadableAsync(pinned, fault.PinReaders(bench));

        // Before it is mended, so that whatever that takes is in the time too: the start of a process, the way of a network.
        var watch = traffic.Watch(homes, Recovered * before.Hurt);
        var during = (Hurt: (traffic.CountsAt(homes) - startHurt).HitRatio, Others: (traffic.CountsAt(homes, isAtOneOfThem: false) - startOthers).HitRatio);
        await fault.MendAsync(bench);
        var lasted = Stopwatch.GetElapsedTime(startedAt);
        await Eventually.Holds(
            () => Task.FromResult(watch.Recovery is not null), () => $"{Recovered:P0} of the hit ratio before '{fault.Name}', {before.Hurt:0.00}: {watch}");
        var after = await RatioAsync(bench, homes);
        await fault.VerifyAsync(bench);
        await KeptPromisesAsync(fault, bench, pinned, losses);
        await workload.VerifySessionsAsync();
        await Eventually.Holds(() => (traffic.Counts - start).Steps > 0, "a step of a session since the fault began");
        var slowest = traffic.TakeSlowest();
        return new FaultRow(
            fault.Name, lasted, new RatioRow(before.Hurt, during.Hurt, after.Hurt), new RatioRow(before.Others, during.Others, after.Others),
            traffic.Counts - start, watch.Recovery!.Value, slowest, Stopwatch.GetElapsedTime(startedAt, slowest.EndedAt));
    }

    /// <summary>What was held is readable everywhere and held again; a promise that Redis forgot can be made again.</summary>
    private static async Task KeptPromisesAsync(Fault fault, FaultBench bench, PinnedChain pinned, int losses)
    {
        if (bench.Mesh.DataLosses == losses)
        {
            await IsReadableAsync(pinned, bench.Mesh.Targets);
        }

        await bench.HoldPinAsync(fault.PinWriter(bench));
    }

    private static async Task IsReadableAsync(PinnedChain pinned, IEnumerable<NodeTarget> readers)
    {
        foreach (var reader in readers)
        {
            await pinned.IsReadableAsync(reader);
        }
    }

    private static async Task<(double Hurt, double Others)> RatioAsync(FaultBench bench, IReadOnlyCollection<string> homes)
    {
        var traffic = bench.Workload.Traffic;
        var (hurt, others) = (traffic.CountsAt(homes), traffic.CountsAt(homes, isAtOneOfThem: false));
        await Task.Delay(bench.Settings.Measure, CancellationToken.None);
        await Eventually.Holds(() => (traffic.CountsAt(homes) - hurt).Gets >= LeastGets, $"{LeastGets} gets of clients of {string.Join(", ", homes)}");
        return ((traffic.CountsAt(homes) - hurt).HitRatio, (traffic.CountsAt(homes, isAtOneOfThem: false) - others).HitRatio);
    }
}
