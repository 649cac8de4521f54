using System.Buffers.Binary;
using System.Text;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Protocol.Native;

/// <summary>
/// Builds frames one behind the other and sends them in one gathered write with the payload of the last. One thread at a time.
/// The buffer grows to what the largest head needs and shrinks when it is idle.
/// </summary>
public sealed class FrameWriter
{
    private const int InitialBytes = 8 * 1024;

    private byte[] _buffer = new byte[InitialBytes];
    private int _length;
    private int _start;
    private FrameHeader _header;

    /// <summary>Version of the protocol in which frames are begun from now on.</summary>
    public byte Version { get; set; } = NativeLimits.Version;

    /// <summary>Bytes of finished frames that were not sent yet.</summary>
    public int PendingBytes => _length;

    /// <summary>The finished frames that were not sent yet.</summary>
    public ReadOnlySpan<byte> Pending => _buffer.AsSpan(0, _length);

    /// <summary>Begins a frame. Its head is what is written until <see cref="End"/>.</summary>
    public void Begin(Verb verb, ulong requestId, FrameFlags flags)
    {
        _header = new FrameHeader { Version = Version, Verb = verb, RequestId = requestId, Flags = flags };
        _start = _length;
        Reserve(FrameHeader.Bytes);
    }

    /// <summary>Ends the frame that was begun. <paramref name="payloadBytes"/> must follow it before the next frame is begun.</summary>
    public void End(NativeStatus status, long payloadBytes = 0)
    {
        var headBytes = _length - _start - FrameHeader.Bytes;
        if (headBytes > NativeLimits.MaxHeadBytes)
        {
            throw new InvalidOperationException($"A head of {headBytes} bytes was written; the limit is {NativeLimits.MaxHeadBytes}.");
        }

        if (headBytes > 0)
        {
            WriteUInt32(Crc32C.Compute(_buffer.AsSpan(_start + FrameHeader.Bytes, headBytes)));
        }

        (_header with { Status = status, PayloadBytes = payloadBytes, HeadBytes = headBytes }).Write(_buffer.AsSpan(_start));
    }

    /// <summary>Takes back the frame that was begun and not ended.</summary>
    public void Abandon() => _length = _start;

    /// <summary>Sends all finished frames, and behind them the payload of the last one, in one or two parts.</summary>
    public void Flush(IByteChannel channel, ReadOnlySpan<byte> payload = default, ReadOnlySpan<byte> trailer = default)
    {
        if (_length == 0)
        {
            return;
        }

        var length = _length;
        _length = 0;
        channel.Send(_buffer.AsSpan(0, length), payload, trailer);
    }

    /// <summary>Forgets everything that was not sent, for a connection that is lost.</summary>
    public void Reset() => _length = 0;

    /// <summary>Gives back what a large head needed. Nothing may be pending.</summary>
    public void Trim()
    {
        if (_length == 0 && _buffer.Length > InitialBytes)
        {
            _buffer = new byte[InitialBytes];
        }
    }

    public void WriteByte(byte value) => Reserve(1)[0] = value;

    public void WriteUInt16(ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(Reserve(sizeof(ushort)), value);

    public void WriteUInt32(uint value) => BinaryPrimitives.WriteUInt32LittleEndian(Reserve(sizeof(uint)), value);

    public void WriteInt64(long value) => BinaryPrimitives.WriteInt64LittleEndian(Reserve(sizeof(long)), value);

    public void WriteUInt64(ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(Reserve(sizeof(ulong)), value);

    public void WriteBytes(ReadOnlySpan<byte> value) => value.CopyTo(Reserve(value.Length));

    /// <summary>Bytes behind a u16 length.</summary>
    public void WriteShortBytes(ReadOnlySpan<byte> value)
    {
        WriteUInt16(checked((ushort)value.Length));
        WriteBytes(value);
    }

    /// <summary>UTF-8 text without a length, cut to what a refusal may hold.</summary>
    public void WriteText(string text)
    {
        Span<byte> bytes = stackalloc byte[NativeLimits.MaxTextBytes];
        Encoding.UTF8.TryGetBytes(text, bytes, out var written);
        if (written == 0)
        {
            Encoding.UTF8.GetEncoder().Convert(text, bytes, flush: true, out _, out written, out _);
        }

        WriteBytes(bytes[..written]);
    }

    /// <summary>Room in the head for <paramref name="count"/> bytes that the caller fills at once.</summary>
    public Span<byte> Reserve(int count)
    {
        if (_length + count > _buffer.Length)
        {
            Array.Resize(ref _buffer, Math.Max(_length + count, _buffer.Length * 2));
        }

        _length += count;
        return _buffer.AsSpan(_length - count, count);
    }
}
