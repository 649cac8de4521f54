using System.Buffers;
using KvMesh.Client.Connections;
using KvMesh.Client.SharedMemory;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client;

/// <summary>
/// A block that is read where it is: in the node's arena when memory is shared, else in a buffer of the client. Use it from one
/// thread at a time and dispose it soon, since the node keeps the memory for it.
/// </summary>
public sealed class LeasedBlock : IDisposable
{
    private readonly NodeConnection? _connection;
    private readonly ArenaView? _arena;
    private readonly LeaseGrant _grant;
    private readonly int _bytes;
    private byte[]? _buffer;
    private bool _isReleased;
    private bool _wasValid;

    /// <summary>A block in the arena, which is held already.</summary>
    internal LeasedBlock(NodeConnection connection, ArenaView arena, in LeaseGrant grant)
    {
        _connection = connection;
        _arena = arena;
        _grant = grant;
        _bytes = (int)grant.PayloadBytes;
    }

    /// <summary>A block in a rented buffer.</summary>
    internal LeasedBlock(byte[] buffer, int bytes)
    {
        _buffer = buffer;
        _bytes = bytes;
    }

    /// <summary>Bytes of the block.</summary>
    public int Length => _bytes;

    /// <summary>Whether the bytes are the node's own, not a copy.</summary>
    public bool IsInPlace => _arena is not null;

    /// <summary>The payload. Valid until <see cref="Release"/> or <see cref="Dispose"/>; what was read counts only if Release says so.</summary>
    public ReadOnlySpan<byte> Span
    {
        get
        {
            ObjectDisposedException.ThrowIf(_isReleased, this);
            return _arena is not null ? _arena.Payload(_grant) : _buffer.AsSpan(0, _bytes);
        }
    }

    /// <summary>Keeps the arena mapped in which the block is; null when the block is a copy.</summary>
    public ArenaHold? HoldArena()
    {
        ObjectDisposedException.ThrowIf(_isReleased, this);
        return _arena is not null && _arena.TryHold() ? new ArenaHold(_arena) : null;
    }

    /// <summary>Gives the block back. True when the bytes were valid throughout; false: treat everything read from it as a miss.</summary>
    public bool Release()
    {
        if (_isReleased)
        {
            return _wasValid;
        }

        _isReleased = true;
        if (_arena is null)
        {
            ArrayPool<byte>.Shared.Return(_buffer!);
            _buffer = null;
            return _wasValid = true;
        }

        _wasValid = _arena.IsCurrent(_grant);
        _arena.LetGo();
        _connection!.GiveBack([_grant]);
        return _wasValid;
    }

    public void Dispose() => Release();
}
