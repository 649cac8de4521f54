using KvMesh.LoadTest.Faults.Networks;
using KvMesh.TestKit;

namespace KvMesh.LoadTest.Faults.Cases;

/// <summary>The first node is cut off from Redis, and from some of its peers. Its clients reach it all the while.</summary>
internal sealed class Partition(string what, Partition.Ways ways, params string[] peers) : Fault
{
    private const string Cut = "n1";

    private string _kind = "";

    /// <summary>What is lost.</summary>
    [Flags]
    internal enum Ways
    {
        /// <summary>What the node sends.</summary>
        Out = 1,

        /// <summary>What is sent to it.</summary>
        In = 2,
        Both = Out | In,
    }

    public override string Name => $"{what} ({_kind})";

    public override TimeSpan Duration(FaultSettings settings) => settings.Stopped;

    public override IReadOnlyCollection<string> Hurt(FaultBench bench) => [Cut];

    public override NodeTarget PinWriter(FaultBench bench) => bench.Mesh.Targets[0];

    public override IEnumerable<NodeTarget> PinReaders(FaultBench bench) => bench.Mesh.Targets.Skip(1);

    public override Task PrepareAsync(FaultBench bench)
    {
        _kind = bench.Mesh.Network.Kind;
        return Task.CompletedTask;
    }

    public override async Task BreakAsync(FaultBench bench)
    {
        foreach (var other in peers.Append(MeshNetwork.Redis))
        {
            if (ways.HasFlag(Ways.Out))
            {
                await bench.Mesh.Network.CutAsync(Cut, other);
            }

            if (ways.HasFlag(Ways.In))
            {
                await bench.Mesh.Network.CutAsync(other, Cut);
            }
        }
    }

    /// <summary>Proves that the cut is one: the node freezes its view, and the others, which Redis answers, give it up.</summary>
    public override async Task HoldsAsync(FaultBench bench)
    {
        using var cut = PatientAdmin.Of(bench.Mesh.Targets[0].Http);
        await Eventually.Holds(async () => (await cut.GetNodesAsync(CancellationToken.None)).IsFrozen, $"the view of {Cut} frozen");
        foreach (var other in bench.Mesh.Targets.Skip(1))
        {
            using var admin = PatientAdmin.Of(other.Http);
            await Eventually.Holds(
                async () => (await admin.GetNodesAsync(CancellationToken.None)).Nodes.All(node => node.Id != Cut), $"{Cut} given up by {other.Name}");
        }
    }

    public override Task MendAsync(FaultBench bench) => bench.Mesh.Network.MendAsync();
}
