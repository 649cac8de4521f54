using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvMesh.Protocol.Sequences;

/// <summary>A chain hash as a value: 32 bytes, compared by content. The default is the root, before the first block.</summary>
[InlineArray(Limits.ChainHashBytes)]
public struct BlockHash : IEquatable<BlockHash>
{
    private byte _first;

    /// <param name="bytes">32 bytes.</param>
    /// <exception cref="ArgumentException">There are more or fewer.</exception>
    public BlockHash(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != Limits.ChainHashBytes)
        {
            throw new ArgumentException($"A chain hash has {Limits.ChainHashBytes} bytes; {bytes.Length} were given.", nameof(bytes));
        }

        bytes.CopyTo(this);
    }

    /// <summary>Before the first block of every chain.</summary>
    public static BlockHash Root => default;

    public static bool operator ==(in BlockHash left, in BlockHash right) => left.Equals(right);

    public static bool operator !=(in BlockHash left, in BlockHash right) => !left.Equals(right);

    /// <summary>Reads 64 hexadecimal digits.</summary>
    public static bool TryParse(string? text, out BlockHash hash)
    {
        hash = default;
        Span<byte> bytes = stackalloc byte[Limits.ChainHashBytes];
        if (text is null || text.Length != 2 * Limits.ChainHashBytes
            || Convert.FromHexString(text, bytes, out _, out _) != System.Buffers.OperationStatus.Done)
        {
            return false;
        }

        hash = new BlockHash(bytes);
        return true;
    }

    public readonly byte[] ToArray() => ((ReadOnlySpan<byte>)this).ToArray();

    public readonly void CopyTo(Span<byte> destination) => ((ReadOnlySpan<byte>)this).CopyTo(destination);

    public readonly bool Equals(BlockHash other) => ((ReadOnlySpan<byte>)this).SequenceEqual(other);

    public override readonly bool Equals(object? obj) => obj is BlockHash other && Equals(other);

    /// <summary>Any bytes of a hash are as good as others.</summary>
    public override readonly int GetHashCode() => MemoryMarshal.Read<int>(this);

    /// <summary>64 hexadecimal digits.</summary>
    public override readonly string ToString() => Convert.ToHexStringLower(this);
}
