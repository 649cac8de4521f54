using KvMesh.Cluster.Removals;
using KvMesh.Engine;

namespace KvMesh.Server.Mesh;

/// <summary>Carries removals of other nodes out on this node's engine.</summary>
internal sealed class EngineRemovals(BlockEngine engine) : IRemovalTarget
{
    public void Drop(string tenant, ReadOnlySpan<byte> key)
    {
        if (engine.Tenants.Find(tenant) is { } owner)
        {
            engine.DropCopy(owner, key);
        }
    }

    public void Purge(PurgeScope scope)
    {
        if (engine.Tenants.Find(scope.Tenant) is { } owner)
        {
            engine.PurgeHere(owner, scope.Model, scope.Revision);
        }
    }

    public void DropEverything()
    {
        foreach (var tenant in engine.Tenants.All)
        {
            engine.PurgeHere(tenant, null, null);
        }
    }
}
