using System.Security.Cryptography;
using System.Text;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>
/// 128 bits of SHA-256 over tenant and key: what a block is called in Redis, the same on every node. Two keys with one name are not to be
/// found on purpose; the full key is stored and compared all the same.
/// </summary>
internal readonly record struct BlockName(ulong High, ulong Low)
{
    public static BlockName Of(ReadOnlySpan<byte> tenant, ReadOnlySpan<byte> key)
    {
        Span<byte> source = stackalloc byte[1 + byte.MaxValue + Protocol.Limits.MaxKeyBytes];
        source[0] = (byte)tenant.Length;
        tenant.CopyTo(source[1..]);
        key.CopyTo(source[(1 + tenant.Length)..]);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(source[..(1 + tenant.Length + key.Length)], hash);
        return new BlockName(
            System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(hash), System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(hash[8..]));
    }
}

/// <summary>
/// The keys of this tier in Redis. All keys of a block carry its name as hash tag:
/// <c>prefix:cluster:{name}:0</c> the head with the first part, <c>prefix:cluster:{name}:n:generation</c> the other parts, and
/// <c>prefix:cluster:scopes:{tenant}</c> what was purged.
/// </summary>
internal sealed class RedisKeys(string prefix, string cluster)
{
    /// <summary>Longest key that is made here.</summary>
    public const int MaxBytes = 256;

    private readonly byte[] _base = Encoding.ASCII.GetBytes($"{prefix}:{cluster}:");

    /// <summary>Where a trial write goes.</summary>
    public byte[] Probe => [.. _base, .. "probe"u8];

    /// <summary>Writes the key of a block's head and returns its length.</summary>
    public int WriteHead(BlockName name, Span<byte> destination)
    {
        var used = WriteName(name, destination);
        ":0"u8.CopyTo(destination[used..]);
        return used + 2;
    }

    /// <summary>Writes the key of a part after the first and returns its length.</summary>
    public int WritePart(BlockName name, int part, ulong generation, Span<byte> destination)
    {
        var used = WriteName(name, destination);
        destination[used++] = (byte)':';
        part.TryFormat(destination[used..], out var digits);
        used += digits;
        destination[used++] = (byte)':';
        return used + WriteHex(generation, destination[used..]);
    }

    /// <summary>The key of what was purged of a tenant.</summary>
    public byte[] Scopes(string tenant)
    {
        var name = BlockName.Of(Encoding.UTF8.GetBytes(tenant), default);
        Span<byte> key = stackalloc byte[MaxBytes];
        _base.CopyTo(key);
        "scopes:{"u8.CopyTo(key[_base.Length..]);
        var used = _base.Length + 8;
        used += WriteHex(name.High, key[used..]);
        used += WriteHex(name.Low, key[used..]);
        key[used++] = (byte)'}';
        return key[..used].ToArray();
    }

    private int WriteName(BlockName name, Span<byte> destination)
    {
        _base.CopyTo(destination);
        var used = _base.Length;
        destination[used++] = (byte)'{';
        used += WriteHex(name.High, destination[used..]);
        used += WriteHex(name.Low, destination[used..]);
        destination[used++] = (byte)'}';
        return used;
    }

    private static int WriteHex(ulong value, Span<byte> destination)
    {
        value.TryFormat(destination, out var digits, "x16");
        return digits;
    }
}
