namespace KvMesh.LoadTest.Faults.Cases;

/// <summary>A node is killed and comes back on its folder and arena.</summary>
internal sealed class KilledNode : LossOfANode
{
    public override string Name => "`kill -9` of a node, started again";

    public override TimeSpan Duration(FaultSettings settings) => settings.Down;

    public override Task BreakAsync(FaultBench bench) => Victim(bench).KillAsync();

    public override Task MendAsync(FaultBench bench) => Victim(bench).RestartAsync();
}
