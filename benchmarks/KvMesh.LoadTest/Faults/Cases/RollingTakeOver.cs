using KvMesh.Protocol.Native;
using KvMesh.TestKit;

namespace KvMesh.LoadTest.Faults.Cases;

/// <summary>
/// One node after the other is replaced while it serves, by one that speaks the next version of the protocol beside this one, so that old and new work
/// together until all are new; then all go back in the same way.
/// </summary>
internal sealed class RollingTakeOver : Fault
{
    private const int Own = NativeLimits.Version;
    private const int Next = Own + 1;

    public override string Name => "all nodes replaced one after the other with `--take-over`, by the next protocol version and back";

    public override TimeSpan Duration(FaultSettings settings) => TimeSpan.Zero;

    public override Task BreakAsync(FaultBench bench) => ReplaceAsync(bench, $"{Own}-{Next}", Next);

    public override Task MendAsync(FaultBench bench) => ReplaceAsync(bench, "", Own);

    private static async Task ReplaceAsync(FaultBench bench, string versions, int highest)
    {
        for (var index = 0; index < bench.Mesh.Nodes.Count; index++)
        {
            var node = bench.Mesh.Nodes[index];
            node.Speak(versions);
            await node.TakeOverAsync();
            foreach (var other in bench.Mesh.Targets)
            {
                using var admin = PatientAdmin.Of(other.Http);
                await Eventually.Holds(
                    async () => (await admin.GetNodesAsync(CancellationToken.None)).Nodes.Any(member => member.Id == node.Target.Name && member.MaxProtocol == highest && member.IsUsed),
                    $"{node.Target.Name} with version {highest} in the view of {other.Name}");
            }
        }
    }
}
