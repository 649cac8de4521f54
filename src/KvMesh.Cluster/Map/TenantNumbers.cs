using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;

namespace KvMesh.Cluster.Map;

/// <summary>What separates the digests of tenants: a number from the name, equal on every node. Any thread.</summary>
public static class TenantNumbers
{
    /// <summary>Names that are remembered; further ones are computed each time.</summary>
    private const int MaxKept = 4096;

    private static readonly ConcurrentDictionary<string, uint> Numbers = new(StringComparer.Ordinal);

    public static uint Of(string tenant)
    {
        if (Numbers.TryGetValue(tenant, out var number))
        {
            return number;
        }

        number = BitConverter.ToUInt32(SHA256.HashData(Encoding.UTF8.GetBytes(tenant)));
        if (Numbers.Count < MaxKept)
        {
            Numbers[tenant] = number;
        }

        return number;
    }
}
