using System.Buffers.Binary;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Protocol.Native;

/// <summary>What came of waiting for a frame.</summary>
public enum FrameArrival
{
    /// <summary>A header and its head are here; the payload follows on the channel.</summary>
    Frame,

    /// <summary>Nothing arrived within the idle window and nothing is buffered.</summary>
    Idle,

    /// <summary>The peer closed between two frames.</summary>
    Closed,

    /// <summary>What arrived is no frame: see <see cref="FrameReceiver.Fault"/>.</summary>
    Broken,
}

/// <summary>
/// Takes frames from a channel: headers and heads through a small buffer, payload bytes straight to where they belong. One thread
/// at a time. The payload of a frame must be taken or skipped before the next frame is asked for.
/// </summary>
public sealed class FrameReceiver
{
    private const int InitialBytes = 16 * 1024;
    private const int SkipBytes = 64 * 1024;

    private byte[] _buffer = new byte[InitialBytes];
    private int _start;
    private int _end;
    private int _headStart;
    private int _headBytes;

    /// <summary>Whether bytes are here that no frame has taken yet.</summary>
    public bool HasBuffered => _end > _start;

    /// <summary>Bytes that are here and that no frame has taken yet.</summary>
    public int BufferedBytes => _end - _start;

    /// <summary>Whether the next header and head are here in full, so that asking for them does not wait.</summary>
    public bool HasFrame
    {
        get
        {
            var buffered = _buffer.AsSpan(_start, _end - _start);
            return buffered.Length >= FrameHeader.Bytes
                && (FrameHeader.TryRead(buffered, Versions, out var header) != FrameFault.None || buffered.Length >= FrameHeader.Bytes + header.HeadSectionBytes);
        }
    }

    /// <summary>The head of the last frame, without its checksum. Valid until the next frame is asked for.</summary>
    public ReadOnlySpan<byte> Head => _buffer.AsSpan(_headStart, _headBytes);

    /// <summary>Versions in which frames may come: those of this end, and once both have agreed on one, that.</summary>
    public NativeVersions Versions { get; set; } = NativeVersions.Own;

    /// <summary>Why the stream broke.</summary>
    public FrameFault Fault { get; private set; }

    /// <summary>Waits for the next frame.</summary>
    /// <param name="canIdle">Whether a silent peer is reported after the channel's idle window; false waits for the stall limit.</param>
    /// <exception cref="ChannelException">The connection was lost, or closed in the middle of a frame.</exception>
    public FrameArrival Next(IByteChannel channel, out FrameHeader header, bool canIdle = true)
    {
        header = default;
        if (_start == _end)
        {
            _start = _end = 0;
            var received = canIdle ? channel.ReceiveOrIdle(_buffer) : channel.Receive(_buffer);
            if (received <= 0)
            {
                return received < 0 ? FrameArrival.Idle : FrameArrival.Closed;
            }

            _end = received;
        }

        Fill(channel, FrameHeader.Bytes);
        Fault = FrameHeader.TryRead(_buffer.AsSpan(_start, FrameHeader.Bytes), Versions, out header);
        if (Fault != FrameFault.None)
        {
            return FrameArrival.Broken;
        }

        Fill(channel, FrameHeader.Bytes + header.HeadSectionBytes);
        _headStart = _start + FrameHeader.Bytes;
        _headBytes = header.HeadBytes;
        _start = _headStart + header.HeadSectionBytes;
        if (_headBytes > 0 && Crc32C.Compute(Head) != BinaryPrimitives.ReadUInt32LittleEndian(_buffer.AsSpan(_headStart + _headBytes)))
        {
            Fault = FrameFault.WrongHeadChecksum;
            return FrameArrival.Broken;
        }

        return FrameArrival.Frame;
    }

    /// <summary>Receives at least one payload byte into <paramref name="destination"/>, buffered bytes first. Returns the count.</summary>
    public int ReceiveSome(IByteChannel channel, Span<byte> destination)
    {
        if (HasBuffered)
        {
            var taken = Math.Min(_end - _start, destination.Length);
            _buffer.AsSpan(_start, taken).CopyTo(destination);
            _start += taken;
            return taken;
        }

        var received = channel.Receive(destination);
        return received > 0 ? received : throw new ChannelException("The peer closed the connection in the middle of a payload.");
    }

    /// <summary>Fills <paramref name="destination"/> with payload bytes.</summary>
    public void Receive(IByteChannel channel, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            destination = destination[ReceiveSome(channel, destination)..];
        }
    }

    /// <summary>
    /// Reads past payload bytes. What they overwrite is free buffer behind the head, so the head stays valid.
    /// </summary>
    public void Skip(IByteChannel channel, long count)
    {
        var buffered = (int)Math.Min(_end - _start, count);
        _start += buffered;
        count -= buffered;
        if (count == 0)
        {
            return;
        }

        MakeRoom(_start + SkipBytes);
        var scratch = _buffer.AsSpan(_start);
        while (count > 0)
        {
            count -= ReceiveSome(channel, scratch[..(int)Math.Min(scratch.Length, count)]);
        }
    }

    /// <summary>Gives back what a large head needed. Only between frames with nothing buffered.</summary>
    public void Trim()
    {
        if (!HasBuffered && _buffer.Length > InitialBytes)
        {
            _buffer = new byte[InitialBytes];
            _start = _end = _headStart = _headBytes = 0;
        }
    }

    private void Fill(IByteChannel channel, int count)
    {
        if (_end - _start >= count)
        {
            return;
        }

        if (_start + count > _buffer.Length)
        {
            Compact(count);
        }

        while (_end - _start < count)
        {
            var received = channel.Receive(_buffer.AsSpan(_end));
            if (received == 0)
            {
                throw new ChannelException("The peer closed the connection in the middle of a frame.");
            }

            _end += received;
        }
    }

    private void Compact(int count)
    {
        _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
        _end -= _start;
        _start = 0;
        MakeRoom(count);
    }

    private void MakeRoom(int bytes)
    {
        if (bytes > _buffer.Length)
        {
            Array.Resize(ref _buffer, Math.Max(bytes, _buffer.Length * 2));
        }
    }
}
