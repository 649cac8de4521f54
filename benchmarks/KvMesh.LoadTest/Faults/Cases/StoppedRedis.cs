namespace KvMesh.LoadTest.Faults.Cases;

/// <summary>Redis hangs: its connections stay open and nothing comes.</summary>
internal sealed class StoppedRedis : Fault
{
    public override string Name => "SIGSTOP of Redis";

    public override TimeSpan Duration(FaultSettings settings) => settings.Stopped;

    public override Task BreakAsync(FaultBench bench) => bench.Mesh.Redis.SignalAsync("STOP");

    public override Task MendAsync(FaultBench bench) => bench.Mesh.Redis.SignalAsync("CONT");
}
