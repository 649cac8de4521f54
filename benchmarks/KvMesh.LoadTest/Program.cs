using System.CommandLine;
using KvMesh.LoadTest.Verbs;

var root = new RootCommand("Measures KvMesh beside baselines in the same run. docs/BENCHMARKS.md says how to read the figures.")
{
    MemoryVerb.Create(),
    AllocatorVerb.Create(),
    CodecsVerb.Create(),
    CapacityVerb.Create(),
    EncodingVerb.Create(),
    ModelVerb.Create(),
    TtftVerb.Create(),
    QualityVerb.Create(),
    RespVerb.Create(),
    RespVerb.CreatePeers(),
    NativeVerb.Create(),
    SharedMemoryVerb.Create(),
    EngineVerb.Create(),
    MatchVerb.Create(),
    AdviceVerb.Create(),
    RetentionVerb.Create(),
    MapVerb.Create(),
    MeshVerb.Create(),
    MembersVerb.Create(),
    PlacementVerb.Create(),
    OpenLoopVerb.Create(),
    DiskVerb.Create(),
    RestartVerb.Create(),
    RedisTierVerb.Create(),
    SequencesVerb.Create(),
    QuotasVerb.Create(),
    FaultsVerb.Create(),
    LoopServer.Create(),
};

return await root.Parse(args).InvokeAsync();
