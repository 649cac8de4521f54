using KvMesh.Cluster.Placement.Nodes;

namespace KvMesh.Cluster.Tests.Placement.Nodes;

/// <summary>What outlives a node, in memory.</summary>
internal sealed class MemoryOfDrain : IDrainMemory
{
    private DateTimeOffset? _since;

    public bool IsBroken { get; set; }

    public DateTimeOffset? Load() => _since;

    public bool Save(DateTimeOffset? since)
    {
        _since = IsBroken ? _since : since;
        return !IsBroken;
    }
}
