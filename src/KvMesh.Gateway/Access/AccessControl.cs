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
    All = Read | Write | Remove | Admin,
}

/// <summary>An authenticated caller.</summary>
public sealed record Caller(Tenant Tenant, AccessRights Rights)
{
    public bool May(AccessRights rights) => (Rights & rights) == rights;
}

/// <summary>Maps credentials to tenants, on every door. Comparisons take the same time whatever differs.</summary>
public sealed class AccessControl
{
    /// <summary>Whether a connection must authenticate before anything else.</summary>
    public bool IsRequired => throw new NotImplementedException();

    /// <summary>The caller behind connections without a credential, or null when a credential is required.</summary>
    public Caller? Anonymous => throw new NotImplementedException();

    /// <summary>The caller with that tenant name and token, or null. An empty name stands for the tenant that the token belongs to.</summary>
    public Caller? Authenticate(ReadOnlySpan<byte> tenantName, ReadOnlySpan<byte> token) => throw new NotImplementedException();
}
