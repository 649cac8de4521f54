namespace KvMesh.Cluster.Removals;

/// <summary>
/// What a node must have applied for another one to take a block from it: travels with the question, and the node that is asked
/// compares it with what it has applied. 0: nothing.
/// </summary>
/// <param name="Purges">Number of the last purge of the tenant.</param>
/// <param name="Removals">Number in the log of removals.</param>
public readonly record struct PullGuard(long Purges, long Removals)
{
    public bool IsNeeded => (Purges | Removals) != 0;
}
