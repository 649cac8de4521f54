namespace KvMesh.Engine.Blocks;

/// <summary>One tenant: the owner of keys. Comes from the credential of a connection, never from a key.</summary>
public sealed class Tenant
{
    /// <summary>Name of the tenant that connections without a credential belong to.</summary>
    public const string DefaultName = "default";

    internal Tenant(string name) => Name = name;

    public string Name { get; }

    /// <summary>Path of the arena file that holds this tenant's blocks; readers of shared memory map it read-only.</summary>
    public string ArenaPath => throw new NotImplementedException();

    /// <summary>Whether no other tenant's bytes are in that arena, so that it may be mapped by this tenant.</summary>
    public bool OwnsArena => throw new NotImplementedException();
}

/// <summary>The tenants of a node. They are few and known at start; a name that is not configured has no tenant.</summary>
public sealed class TenantTable
{
    /// <summary>The tenant of that name, or null.</summary>
    public Tenant? Find(string name) => throw new NotImplementedException();

    public IReadOnlyList<Tenant> All => throw new NotImplementedException();
}
