namespace KvMesh.LoadTest.Faults.Cases;

/// <summary>The second node, which has one copy of what is promised on two, is away for a while.</summary>
internal abstract class LossOfANode : Fault
{
    public override IReadOnlyCollection<string> Hurt(FaultBench bench) => [Victim(bench).Target.Name];

    public override NodeTarget PinWriter(FaultBench bench) => Victim(bench).Target;

    public override IEnumerable<NodeTarget> PinReaders(FaultBench bench) => bench.Mesh.Targets.Where(node => node != Victim(bench).Target);

    protected static FaultNode Victim(FaultBench bench) => bench.Mesh.Nodes[1];
}
