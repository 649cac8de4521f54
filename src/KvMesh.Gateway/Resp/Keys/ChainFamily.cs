using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using KvMesh.Protocol.Keys;

namespace KvMesh.Gateway.Resp.Keys;

/// <summary>The part of a content key that differs within a chain, by value.</summary>
internal struct HashField
{
    public const int MaxBytes = 128;

    private Bytes _bytes;
    private byte _length;

    public HashField(ReadOnlySpan<byte> hash)
    {
        hash.CopyTo(_bytes);
        _length = (byte)hash.Length;
    }

    [UnscopedRef]
    public readonly ReadOnlySpan<byte> Span => ((ReadOnlySpan<byte>)_bytes)[.._length];

    public readonly bool IsEmpty => _length == 0;

    [InlineArray(MaxBytes)]
    private struct Bytes
    {
        private byte _first;
    }
}

/// <summary>Keys of one source that agree up to the hash field: what is known of the prompt that is being looked up and the one being stored.</summary>
internal sealed class ChainFamily(KeyDigest id)
{
    public KeyDigest Id { get; } = id;

    /// <summary>First key of the run of probes; empty when no run is open.</summary>
    public HashField First;

    /// <summary>Last key of the run that was there.</summary>
    public HashField LastPresent;

    /// <summary>Timestamp of the run's last probe.</summary>
    public long ProbedAt;

    /// <summary>The prompt that is being asked for, for those who count demand; null: none is open, or there was no room for it.</summary>
    public ChainRun? Run;

    /// <summary>Last key that was stored.</summary>
    public HashField LastStored;

    /// <summary>Timestamp of that store.</summary>
    public long StoredAt;
}
