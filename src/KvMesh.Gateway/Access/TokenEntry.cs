using System.Security.Cryptography;
using System.Text;

namespace KvMesh.Gateway.Access;

/// <summary>One line of the token file: whoever knows the token acts for the tenant with these rights.</summary>
public sealed class TokenEntry
{
    /// <param name="tenant">Name of the tenant.</param>
    /// <param name="hash">SHA-256 of the token's bytes.</param>
    /// <param name="rights">What it allows.</param>
    /// <param name="note">What its operator calls it; empty: as the tenant.</param>
    public TokenEntry(string tenant, ReadOnlySpan<byte> hash, AccessRights rights, string note = "")
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(hash.Length, SHA256.HashSizeInBytes, nameof(hash));
        Tenant = tenant;
        Name = note.Length > 0 ? note : tenant;
        Rights = rights;
        Hash = hash.ToArray();
        TenantHash = SHA256.HashData(Encoding.UTF8.GetBytes(tenant));
    }

    public string Tenant { get; }

    /// <summary>How logs and audits name whoever uses the token.</summary>
    public string Name { get; }

    public AccessRights Rights { get; }

    internal byte[] Hash { get; }

    /// <summary>Whether this is its token. Takes the same time whatever the token is.</summary>
    public bool IsToken(ReadOnlySpan<byte> token) => CryptographicOperations.FixedTimeEquals(Hash, SHA256.HashData(token));

    /// <summary>SHA-256 of the tenant's name: names of all lengths compare in the same time.</summary>
    internal byte[] TenantHash { get; }
}
