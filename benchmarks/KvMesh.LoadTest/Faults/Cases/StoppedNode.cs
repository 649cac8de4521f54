namespace KvMesh.LoadTest.Faults.Cases;

/// <summary>A node hangs for longer than it takes the others to give it up, and goes on.</summary>
internal sealed class StoppedNode : LossOfANode
{
    public override string Name => "SIGSTOP of a node";

    public override TimeSpan Duration(FaultSettings settings) => settings.Stopped;

    public override Task BreakAsync(FaultBench bench) => Victim(bench).StopAsync();

    public override Task MendAsync(FaultBench bench) => Victim(bench).ContinueAsync();
}
