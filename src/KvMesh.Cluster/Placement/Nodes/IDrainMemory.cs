namespace KvMesh.Cluster.Placement.Nodes;

/// <summary>
/// What a node knows of its own drain after a restart. It belongs to the blocks that are drained, and so lies with them: neither a store that lost its data nor
/// another data directory under the same id changes it. Calls come one at a time and are quick.
/// </summary>
public interface IDrainMemory
{
    /// <summary>Since when this node is to be empty; null: it is not.</summary>
    DateTimeOffset? Load();

    /// <summary>Remembers that an operator asked for it; null: forgets it. Never throws; false: a restart will not know.</summary>
    bool Save(DateTimeOffset? since);
}
