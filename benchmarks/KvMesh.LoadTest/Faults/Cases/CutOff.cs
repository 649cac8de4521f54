using KvMesh.LoadTest.Faults.Networks;

namespace KvMesh.LoadTest.Faults.Cases;

/// <summary>Two nodes cannot reach Redis, and the third can. All of them reach each other.</summary>
internal sealed class CutOff : Fault
{
    public override string Name => "two nodes cut off from Redis (proxy that drops everything)";

    public override TimeSpan Duration(FaultSettings settings) => settings.Stopped;

    public override IReadOnlyCollection<string> Hurt(FaultBench bench) => ["n1", "n2"];

    public override async Task BreakAsync(FaultBench bench)
    {
        foreach (var node in Hurt(bench))
        {
            await bench.Mesh.Network.CutAsync(node, MeshNetwork.Redis);
            await bench.Mesh.Network.CutAsync(MeshNetwork.Redis, node);
        }
    }

    public override Task MendAsync(FaultBench bench) => bench.Mesh.Network.MendAsync();
}
