namespace KvMesh.Cli.Bench;

/// <summary>Outcome of <c>kvmesh bench</c>.</summary>
/// <param name="Via">Front door that was measured.</param>
/// <param name="MismatchedBytes">Received bytes that were not those written.</param>
internal sealed record BenchReport(
    string Via, int BlockBytes, int Clients, IReadOnlyList<BenchResult> Results, long MismatchedBytes, long Errors)
{
    /// <summary>Unit of all latencies in the results.</summary>
    public string LatencyUnit { get; init; } = "microseconds";

    internal ExitCode ExitCode => MismatchedBytes > 0 ? ExitCode.VerificationFailed : Errors > 0 ? ExitCode.Failure : ExitCode.Success;
}

/// <summary>One operation of a benchmark. Latencies are in microseconds.</summary>
/// <param name="Operation">"put", "get" or "match".</param>
/// <param name="GbPerSecond">Payload in 10⁹ bytes a second; 0 for matches.</param>
internal sealed record BenchResult(
    string Operation, long Operations, double Seconds, double OperationsPerSecond, double GbPerSecond, double P50, double P90, double P99,
    double P999, double Max);
