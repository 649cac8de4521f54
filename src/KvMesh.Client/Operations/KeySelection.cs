using KvMesh.Protocol;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client.Operations;

/// <summary>The keys of a request: hashes of one scope, or one opaque key.</summary>
internal readonly struct KeySelection
{
    private readonly BlockScope? _scope;
    private readonly ReadOnlyMemory<byte> _bytes;

    private KeySelection(BlockScope? scope, ReadOnlyMemory<byte> bytes)
    {
        _scope = scope;
        _bytes = bytes;
    }

    /// <summary>Whether only exact copies count, or no copy may lose anything.</summary>
    public bool LosslessOnly { get; init; }

    public int Count => _scope is null ? 1 : _bytes.Length / Limits.ChainHashBytes;

    public static KeySelection One(BlockScope scope, ReadOnlyMemory<byte> hash)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentOutOfRangeException.ThrowIfNotEqual(hash.Length, Limits.ChainHashBytes, nameof(hash));
        return new KeySelection(scope, hash);
    }

    public static KeySelection Many(BlockScope scope, ReadOnlyMemory<byte> hashes)
    {
        ArgumentNullException.ThrowIfNull(scope);
        if (hashes.Length % Limits.ChainHashBytes != 0)
        {
            throw new ArgumentException($"hashes has {hashes.Length} bytes; it must be a multiple of {Limits.ChainHashBytes}.", nameof(hashes));
        }

        return new KeySelection(scope, hashes);
    }

    public static KeySelection Opaque(ReadOnlyMemory<byte> key)
    {
        if (key.Length is 0 or > Limits.MaxKeyBytes)
        {
            throw new ArgumentException($"key has {key.Length} bytes; 1 to {Limits.MaxKeyBytes} are possible.", nameof(key));
        }

        return new KeySelection(null, key);
    }

    /// <summary>Some of the keys.</summary>
    public KeySelection Slice(int start, int count) =>
        _scope is null ? this : new KeySelection(_scope, _bytes.Slice(start * Limits.ChainHashBytes, count * Limits.ChainHashBytes)) { LosslessOnly = LosslessOnly };

    public void Write(FrameWriter writer)
    {
        if (_scope is null)
        {
            writer.WriteOpaque(_bytes.Span);
        }
        else
        {
            writer.WriteChain(_scope.Bytes.Span, _bytes.Span);
        }
    }
}
