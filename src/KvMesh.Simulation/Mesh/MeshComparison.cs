using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Mesh;

/// <summary>What sharing and scheduling are worth: the same memory as one cache, as private caches, and as a mesh.</summary>
public static class MeshComparison
{
    /// <summary>The scenarios for one number of nodes, each with a name, from the upper bound to the full mesh.</summary>
    /// <param name="totalBlocks">Blocks that the whole fleet holds, whatever its size.</param>
    public static IEnumerable<(string Name, MeshScenario Scenario)> Scenarios(MeshScenario common, int totalBlocks)
    {
        ArgumentNullException.ThrowIfNull(common);
        var fleet = common with { BlocksPerNode = Math.Max(1, totalBlocks / common.Nodes) };
        yield return ("one cache", common with { Nodes = 1, BlocksPerNode = totalBlocks, IsShared = false, HasScheduler = false, Routing = MeshRouting.RoundRobin, Faults = [] });
        yield return ("private, round robin", fleet with { IsShared = false, HasScheduler = false, Routing = MeshRouting.RoundRobin });
        yield return ("mesh, round robin", fleet with { HasScheduler = false, Routing = MeshRouting.RoundRobin });
        yield return ("mesh, round robin, scheduler", fleet with { HasScheduler = true, Routing = MeshRouting.RoundRobin });
        yield return ("mesh, affinity", fleet with { HasScheduler = false, Routing = MeshRouting.Affinity });
        yield return ("mesh, affinity, scheduler", fleet with { HasScheduler = true, Routing = MeshRouting.Affinity });
    }

    public static IEnumerable<(string Name, MeshReport Report)> Run(MeshScenario common, int totalBlocks, IReadOnlyList<PromptRequest> requests) =>
        Scenarios(common, totalBlocks).Select(scenario => (scenario.Name, MeshSimulation.Run(scenario.Scenario, requests)));
}
