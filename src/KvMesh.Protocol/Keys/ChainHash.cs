using System.Buffers.Binary;
using System.Security.Cryptography;

namespace KvMesh.Protocol.Keys;

/// <summary>
/// The hash that names a block by everything before it:
/// hash_i = SHA-256(hash_(i-1) ‖ u32-LE tokens of block i ‖ u32-LE length of extra ‖ extra), with 32 zero bytes before the first block.
/// Extra holds what changes the keys and values without changing a token: LoRA, image hashes, salt.
/// </summary>
public static class ChainHash
{
    /// <summary>What stands before the first block of every chain.</summary>
    public static ReadOnlySpan<byte> Root => new byte[Limits.ChainHashBytes];

    /// <summary>Writes the hash of the block that follows <paramref name="previous"/>, 32 bytes each.</summary>
    public static void Next(ReadOnlySpan<byte> previous, ReadOnlySpan<uint> tokens, ReadOnlySpan<byte> extra, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(previous.Length, Limits.ChainHashBytes, nameof(previous));
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(previous);

        Span<byte> word = stackalloc byte[sizeof(uint)];
        foreach (var token in tokens)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(word, token);
            hash.AppendData(word);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(word, (uint)extra.Length);
        hash.AppendData(word);
        hash.AppendData(extra);
        hash.GetHashAndReset(destination);
    }
}
