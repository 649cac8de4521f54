using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cli.Workload;

/// <summary>
/// How a workload names its blocks on each door. Seed and block size are part of every key, so that blocks of another run on the
/// same node are never mistaken for this one's.
/// </summary>
internal sealed class WorkloadKeys
{
    private readonly byte[] _respPrefix;

    public WorkloadKeys(string model, ulong seed, int blockBytes)
    {
        Seed = seed;
        BlockBytes = blockBytes;
        Span<byte> layout = stackalloc byte[sizeof(ulong) + sizeof(int)];
        BinaryPrimitives.WriteUInt64LittleEndian(layout, seed);
        BinaryPrimitives.WriteInt32LittleEndian(layout[sizeof(ulong)..], blockBytes);
        Scope = new BlockScope(model, $"seed-{seed}", SHA256.HashData(layout), 0);

        // The key of LMCache's multi-process mode: model @ rank @ object group @ hash in hexadecimal.
        _respPrefix = Encoding.UTF8.GetBytes($"{model}-{seed}-{blockBytes}@01000100@0@");
    }

    public ulong Seed { get; }

    public int BlockBytes { get; }

    /// <summary>Scope of the blocks on the native door.</summary>
    public BlockScope Scope { get; }

    /// <summary>Bytes of a key on the RESP door.</summary>
    public int RespKeyBytes => _respPrefix.Length + (2 * Limits.ChainHashBytes);

    /// <summary>Writes the key of one block on the RESP door into <paramref name="destination"/>, <see cref="RespKeyBytes"/> long.</summary>
    public void WriteRespKey(ReadOnlySpan<byte> hash, Span<byte> destination)
    {
        const string Digits = "0123456789abcdef";
        _respPrefix.CopyTo(destination);
        destination = destination[_respPrefix.Length..];
        for (var i = 0; i < hash.Length; i++)
        {
            destination[2 * i] = (byte)Digits[hash[i] >> 4];
            destination[(2 * i) + 1] = (byte)Digits[hash[i] & 15];
        }
    }
}
