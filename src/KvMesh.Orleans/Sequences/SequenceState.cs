using KvMesh.Cluster.Sequences;

namespace KvMesh.Orleans.Sequences;

/// <summary>What a grain keeps of its sequence; it travels with the grain when that moves to another silo.</summary>
[GenerateSerializer]
[Alias("kvmesh.sequence-state")]
internal sealed class SequenceState
{
    /// <summary>The stored form; empty: there is no such sequence.</summary>
    [Id(0)]
    public byte[] Head { get; set; } = [];

    /// <summary>The step that is being written. It neither moves nor outlives its write.</summary>
    [field: NonSerialized]
    public SequenceWrite? Step { get; set; }
}
