namespace KvMesh.Cli.Workload;

/// <summary>Outcome of a workload, as printed with <c>--json</c>.</summary>
/// <param name="Requests">Prompts served.</param>
/// <param name="Blocks">Blocks these prompts have, partial ones included.</param>
/// <param name="HitBlocks">Blocks that were there, with all blocks before them, and arrived.</param>
/// <param name="HitRatio">HitBlocks / Blocks.</param>
/// <param name="MismatchedBytes">Received bytes that were not those written under their key. Anything but 0 is a bug.</param>
/// <param name="Errors">Requests to the node that failed.</param>
/// <param name="BytesSaved">Payload bytes that came from the node instead of being computed.</param>
/// <param name="GbPerSecond">Payload bytes read and written per second of the run, in 10⁹ bytes.</param>
/// <param name="Seconds">Duration of the run.</param>
/// <param name="StoredBlocks">Blocks written and kept.</param>
/// <param name="RefusedBlocks">Blocks that the node had no room for.</param>
/// <param name="Interrupted">Whether the run was stopped before the last prompt.</param>
internal sealed record WorkloadReport(
    long Requests, long Blocks, long HitBlocks, double HitRatio, long MismatchedBytes, long Errors, long BytesSaved, double GbPerSecond,
    double Seconds, long StoredBlocks, long RefusedBlocks, bool Interrupted)
{
    /// <summary>Nodes at which requests entered, in the order given; null where all went to one node.</summary>
    public IReadOnlyList<EndpointReport>? Endpoints { get; init; }

    public static WorkloadReport Of(WorkloadTotals totals, TimeSpan elapsed, int blockBytes, bool interrupted) => new(
        totals.Requests, totals.Blocks, totals.HitBlocks, Math.Round(totals.HitRatio, 6), totals.MismatchedBytes, totals.Errors,
        totals.HitBlocks * blockBytes,
        elapsed > TimeSpan.Zero ? Math.Round((totals.ReadBytes + totals.WrittenBytes) / elapsed.TotalSeconds / 1e9, 4) : 0,
        Math.Round(elapsed.TotalSeconds, 3), totals.StoredBlocks, totals.RefusedBlocks, interrupted);

    /// <summary>Exit code that this outcome deserves.</summary>
    internal ExitCode ExitCode => MismatchedBytes > 0 ? ExitCode.VerificationFailed
        : Interrupted ? ExitCode.Interrupted
        : Errors > 0 ? ExitCode.Failure
        : ExitCode.Success;
}
