using KvMesh.Cli.Workload.Routing;

namespace KvMesh.Cli.Workload;

/// <summary>What one of several nodes did in a workload.</summary>
/// <param name="Endpoint">Its address, as given.</param>
/// <param name="Requests">Prompts that entered here.</param>
/// <param name="Blocks">Blocks of these prompts, partial ones included.</param>
/// <param name="HitBlocks">Blocks that this node answered, out of its own tiers or another node's.</param>
/// <param name="HitRatio">HitBlocks / Blocks.</param>
/// <param name="Failures">Calls that it did not answer.</param>
/// <param name="Diverted">Prompts that were meant for it, and were served elsewhere because it did not answer.</param>
/// <param name="IsDown">Whether it failed the last call.</param>
internal sealed record EndpointReport(
    string Endpoint, long Requests, long Blocks, long HitBlocks, double HitRatio, long Failures, long Diverted, bool IsDown)
{
    public static IReadOnlyList<EndpointReport> Of(WorkloadRunner runner, IReadOnlyList<MeshEndpoint> endpoints) =>
        [.. endpoints.Select((endpoint, index) => Of(runner.At(index), endpoint))];

    private static EndpointReport Of((long Requests, long Blocks, long HitBlocks) sums, MeshEndpoint endpoint) => new(
        endpoint.Address, sums.Requests, sums.Blocks, sums.HitBlocks,
        sums.Blocks == 0 ? 0 : Math.Round((double)sums.HitBlocks / sums.Blocks, 6), endpoint.Failures, endpoint.Diverted, endpoint.IsDown);
}
