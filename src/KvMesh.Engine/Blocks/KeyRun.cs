using KvMesh.Protocol;

namespace KvMesh.Engine.Blocks;

/// <summary>The keys of a chain that differ only in their last 32 bytes: a common scope and one hash per block.</summary>
public readonly ref struct KeyRun(ReadOnlySpan<byte> scope, ReadOnlySpan<byte> hashes)
{
    private readonly ReadOnlySpan<byte> _scope = scope;
    private readonly ReadOnlySpan<byte> _hashes = hashes;

    /// <summary>What the keys have in common.</summary>
    public ReadOnlySpan<byte> Scope => _scope;

    /// <summary>What they do not: 32 bytes each.</summary>
    public ReadOnlySpan<byte> Hashes => _hashes;

    public int Count => _hashes.Length / Limits.ChainHashBytes;

    public int KeyBytes => _scope.Length + Limits.ChainHashBytes;

    /// <summary>What key <paramref name="index"/> does not have in common with the others: 32 bytes.</summary>
    public ReadOnlySpan<byte> Hash(int index) => _hashes.Slice(index * Limits.ChainHashBytes, Limits.ChainHashBytes);

    /// <summary>Writes key <paramref name="index"/> into <paramref name="destination"/>, which has <see cref="KeyBytes"/> of room.</summary>
    public void CopyKey(int index, Span<byte> destination)
    {
        _scope.CopyTo(destination);
        Hash(index).CopyTo(destination[_scope.Length..]);
    }
}
