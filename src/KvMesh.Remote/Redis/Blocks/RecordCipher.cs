using System.Buffers.Binary;
using System.Security.Cryptography;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>
/// AES-256-GCM over the pieces of a block. Every piece has a nonce of 96 random bits of its own: a key that seals 2³² pieces (32 PiB) repeats one
/// with a chance below 2⁻³². The Redis key, the number of the piece and the generation of the write are authenticated with it, and so is
/// the head: no piece can be moved, exchanged or renamed. Any thread.
/// </summary>
internal sealed class RecordCipher
{
    public const int NonceBytes = 12;
    public const int TagBytes = 16;

    private readonly Dictionary<ulong, byte[]> _keys = [];

    /// <param name="keys">The first one seals; all of them open. Empty: nothing is encrypted.</param>
    public RecordCipher(IReadOnlyList<byte[]> keys)
    {
        foreach (var key in keys)
        {
            _keys.TryAdd(IdOf(key), key);
        }

        WriteKeyId = keys.Count > 0 ? IdOf(keys[0]) : 0;
    }

    /// <summary>Id of the key that seals; 0: nothing is encrypted.</summary>
    public ulong WriteKeyId { get; }

    public bool IsOn => WriteKeyId != 0;

    /// <summary>
    /// Whether what was written under that key id may be read. With keys, what is not encrypted may not: whoever can write to Redis could
    /// have put it there.
    /// </summary>
    public bool CanRead(ulong keyId) => keyId == 0 ? !IsOn : _keys.ContainsKey(keyId);

    /// <summary>Encrypts <paramref name="plain"/> to <paramref name="destination"/>, of the same length, and writes nonce and tag to <paramref name="seal"/>.</summary>
    public void Seal(ReadOnlySpan<byte> plain, Span<byte> destination, Span<byte> seal, ReadOnlySpan<byte> associated)
    {
        using var aes = new AesGcm(_keys[WriteKeyId], TagBytes);
        RandomNumberGenerator.Fill(seal[..NonceBytes]);
        aes.Encrypt(seal[..NonceBytes], plain, destination, seal.Slice(NonceBytes, TagBytes), associated);
    }

    /// <summary>Decrypts in place. False when the bytes, their place or their key are not those of the writer; the bytes are then zero.</summary>
    public bool TryOpen(ulong keyId, Span<byte> data, ReadOnlySpan<byte> seal, ReadOnlySpan<byte> associated)
    {
        using var aes = new AesGcm(_keys[keyId], TagBytes);
        try
        {
            aes.Decrypt(seal[..NonceBytes], data, seal.Slice(NonceBytes, TagBytes), data, associated);
            return true;
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
    }

    /// <summary>Writes what is authenticated with a piece and returns its length. <paramref name="head"/> is empty but for piece 0.</summary>
    public static int WriteAssociated(Span<byte> destination, ReadOnlySpan<byte> redisKey, int piece, ulong generation, ReadOnlySpan<byte> head)
    {
        BinaryPrimitives.WriteInt32LittleEndian(destination, piece);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[4..], generation);
        BinaryPrimitives.WriteInt32LittleEndian(destination[12..], redisKey.Length);
        redisKey.CopyTo(destination[16..]);
        head.CopyTo(destination[(16 + redisKey.Length)..]);
        return 16 + redisKey.Length + head.Length;
    }

    /// <summary>A name for a key that tells nothing about it; never 0.</summary>
    private static ulong IdOf(byte[] key)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData([.. "kvmesh redis tier key id"u8, .. key], hash);
        return BinaryPrimitives.ReadUInt64LittleEndian(hash) | 1;
    }
}
