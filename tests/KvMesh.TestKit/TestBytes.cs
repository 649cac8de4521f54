using System.Buffers.Binary;
using KvMesh.Protocol;

namespace KvMesh.TestKit;

/// <summary>Bytes that tests can tell apart.</summary>
public static class TestBytes
{
    /// <summary>A payload that differs for every seed.</summary>
    public static byte[] Payload(int seed, int bytes)
    {
        var payload = new byte[bytes];
        new Random(seed).NextBytes(payload);
        return payload;
    }

    /// <summary>A chain hash that stands for block <paramref name="index"/> of chain <paramref name="chain"/>.</summary>
    public static byte[] Hash(int chain, int index)
    {
        var hash = new byte[Limits.ChainHashBytes];
        BinaryPrimitives.WriteInt32LittleEndian(hash, chain);
        BinaryPrimitives.WriteInt32LittleEndian(hash.AsSpan(4), index);
        return hash;
    }
}
