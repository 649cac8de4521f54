namespace KvMesh.LoadTest.Faults.Cases;

/// <summary>Redis is killed and comes back with what it held, or without.</summary>
internal sealed class KilledRedis(bool keepsData) : Fault
{
    public override string Name => keepsData ? "`kill -9` of Redis, started again with its data" : "`kill -9` of Redis, started again empty";

    public override TimeSpan Duration(FaultSettings settings) => settings.Down;

    public override Task BreakAsync(FaultBench bench) => bench.Mesh.Redis.KillAsync();

    public override Task MendAsync(FaultBench bench) => bench.Mesh.RestartRedisAsync(keepsData);
}
