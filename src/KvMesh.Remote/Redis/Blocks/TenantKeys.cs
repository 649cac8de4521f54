using System.Text;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>What is needed of a tenant again and again.</summary>
internal sealed class TenantKeys(string name, RedisKeys keys)
{
    public string Name { get; } = name;

    public byte[] Utf8 { get; } = Encoding.UTF8.GetBytes(name);

    /// <summary>Key of the hash that tells what was purged.</summary>
    public byte[] ScopesKey { get; } = keys.Scopes(name);
}
