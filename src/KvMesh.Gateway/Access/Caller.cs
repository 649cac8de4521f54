using KvMesh.Engine.Blocks;

namespace KvMesh.Gateway.Access;

/// <summary>What a credential allows.</summary>
[Flags]
public enum AccessRights
{
    None = 0,
    Read = 1,
    Write = 2,
    Remove = 4,

    /// <summary>See figures of the whole node and change its state.</summary>
    Admin = 8,

    /// <summary>Everything for one tenant, and the figures of the node.</summary>
    All = Read | Write | Remove | Admin,

    /// <summary>Be another node of the cluster: act for whatever tenant it names, and follow the events of all of them.</summary>
    Peer = 16,
}

/// <summary>An authenticated caller.</summary>
public sealed record Caller(Tenant Tenant, AccessRights Rights)
{
    /// <summary>Name of the credential, for logs and audits; empty where there was none.</summary>
    public string Name { get; init; } = "";

    public bool May(AccessRights rights) => (Rights & rights) == rights;
}
