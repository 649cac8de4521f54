using KvMesh.Cluster.Sequences;
using KvMesh.TestKit.Sequences;

namespace KvMesh.Orleans.Tests.Sequences;

/// <summary>Sequences owned by grains keep the contract, whichever of two silos is asked.</summary>
public sealed class OrleansSequenceStoreTests(SiloPair silos) : SequenceStoreContract, IClassFixture<SiloPair>
{
    protected override Task<ISequenceStore> ConnectAsync() => Task.FromResult(silos.Next());
}
