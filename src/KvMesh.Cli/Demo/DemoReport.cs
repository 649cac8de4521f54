using KvMesh.Cli.Workload;

namespace KvMesh.Cli.Demo;

/// <summary>Outcome of the demo, as printed with <c>--json</c>: sums, then each door.</summary>
internal sealed record DemoReport(
    long Requests, long Blocks, long HitBlocks, double HitRatio, long MismatchedBytes, long Errors, long BytesSaved, double GbPerSecond,
    double Seconds, Uri Dashboard, IReadOnlyDictionary<string, WorkloadReport> Doors)
{
    /// <summary>Exit code that this outcome deserves.</summary>
    internal ExitCode ExitCode => Doors.Values.Select(door => door.ExitCode).MaxBy(Severity);

    public static DemoReport Of(DemoSession session, Uri dashboard, int blockBytes, bool interrupted)
    {
        var all = WorkloadReport.Of(session.Totals, session.Elapsed, blockBytes, interrupted);
        var doors = session.Lanes.ToDictionary(
            lane => lane.Key, lane => WorkloadReport.Of(lane.Runner.Totals, lane.Runner.Elapsed, blockBytes, interrupted));
        return new DemoReport(
            all.Requests, all.Blocks, all.HitBlocks, all.HitRatio, all.MismatchedBytes, all.Errors, all.BytesSaved, all.GbPerSecond, all.Seconds,
            dashboard, doors);
    }

    private static int Severity(ExitCode code) => code switch
    {
        ExitCode.VerificationFailed => 3,
        ExitCode.Interrupted => 2,
        ExitCode.Success => 0,
        _ => 1,
    };
}
