using System.Buffers.Text;
using System.Diagnostics;
using System.Text;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Protocol.Resp;

/// <summary>
/// Collects the replies of one connection and sends them when the buffer is full or at <see cref="Flush"/>. A large payload is not
/// copied: it leaves in one gathered send with everything that waits before it. The dialect is RESP2 until <see cref="IsResp3"/>.
/// </summary>
public sealed class RespWriter
{
    /// <summary>Payloads up to here are copied into the buffer; longer ones are sent from where they are.</summary>
    public const int CopiedBulkBytes = 16 * 1024;

    /// <summary>Most bytes that any reply needs in one piece, payloads apart.</summary>
    private const int HeadBytes = 64;

    private IByteChannel? _channel;
    private byte[] _buffer = [];
    private int _used;

    /// <summary>Whether the connection speaks RESP3.</summary>
    public bool IsResp3 { get; set; }

    /// <summary>Bytes that wait to be sent.</summary>
    public int PendingBytes => _used;

    /// <summary>Bytes handed to the channel so far.</summary>
    public long SentBytes { get; private set; }

    /// <summary>Takes the channel and the buffer that replies collect in; the caller owns both and takes them back with <see cref="Detach"/>.</summary>
    public void Attach(IByteChannel channel, byte[] buffer)
    {
        Debug.Assert(_used == 0, "Replies are owed.");
        _channel = channel;
        _buffer = buffer;
    }

    /// <summary>Lets go of channel and buffer. What was not flushed is lost.</summary>
    public void Detach()
    {
        _channel = null;
        _buffer = [];
        _used = 0;
    }

    /// <summary>Sends what waits.</summary>
    public void Flush()
    {
        if (_used > 0)
        {
            var bytes = _used;
            _used = 0;
            SentBytes += bytes;
            _channel!.Send(_buffer.AsSpan(0, bytes));
        }
    }

    /// <summary>A line without line breaks in it, as <c>+OK</c>.</summary>
    public void WriteSimple(ReadOnlySpan<byte> text)
    {
        var room = Room(text.Length + 3);
        room[0] = (byte)'+';
        text.CopyTo(room[1..]);
        EndLine(text.Length + 1);
    }

    /// <summary>An error with its code, as "ERR syntax error". Line breaks in it become spaces.</summary>
    public void WriteError(string message)
    {
        var bytes = Encoding.Latin1.GetByteCount(message);
        var room = Room(bytes + 3);
        room[0] = (byte)'-';
        Encoding.Latin1.GetBytes(message, room[1..]);
        foreach (ref var value in room.Slice(1, bytes))
        {
            value = value is (byte)'\r' or (byte)'\n' ? (byte)' ' : value;
        }

        EndLine(bytes + 1);
    }

    /// <summary>Bytes that are a whole reply already.</summary>
    public void WriteRaw(ReadOnlySpan<byte> reply)
    {
        reply.CopyTo(Room(reply.Length));
        _used += reply.Length;
    }

    public void WriteInteger(long value) => WriteNumberLine((byte)':', value);

    public void WriteNull() => WriteRaw(IsResp3 ? "_\r\n"u8 : "$-1\r\n"u8);

    public void WriteBulk(ReadOnlySpan<byte> payload)
    {
        WriteNumberLine((byte)'$', payload.Length);
        if (payload.Length <= CopiedBulkBytes)
        {
            var room = Room(payload.Length + 2);
            payload.CopyTo(room);
            room[payload.Length] = (byte)'\r';
            room[payload.Length + 1] = (byte)'\n';
            _used += payload.Length + 2;
            return;
        }

        var head = _used;
        _used = 0;
        SentBytes += head + payload.Length + 2;
        _channel!.Send(_buffer.AsSpan(0, head), payload, "\r\n"u8);
    }

    public void WriteBulk(string text)
    {
        Span<byte> bytes = text.Length <= 256 ? stackalloc byte[256] : new byte[text.Length];
        WriteBulk(bytes[..Encoding.Latin1.GetBytes(text, bytes)]);
    }

    /// <summary>Text for people; RESP3 marks it as plain text.</summary>
    public void WriteVerbatim(ReadOnlySpan<byte> text)
    {
        if (!IsResp3)
        {
            WriteBulk(text);
            return;
        }

        WriteNumberLine((byte)'=', text.Length + 4);
        WriteRaw("txt:"u8);
        for (var rest = text; !rest.IsEmpty;)
        {
            var part = rest[..Math.Min(rest.Length, CopiedBulkBytes)];
            WriteRaw(part);
            rest = rest[part.Length..];
        }

        WriteRaw("\r\n"u8);
    }

    public void WriteArray(int count) => WriteNumberLine((byte)'*', count);

    /// <summary>Head of <paramref name="pairs"/> key-value pairs; in RESP2 an array of twice as many.</summary>
    public void WriteMap(int pairs) => WriteNumberLine(IsResp3 ? (byte)'%' : (byte)'*', IsResp3 ? pairs : pairs * 2L);

    /// <summary>Head of a set; in RESP2 an array.</summary>
    public void WriteSet(int count) => WriteNumberLine(IsResp3 ? (byte)'~' : (byte)'*', count);

    private void WriteNumberLine(byte kind, long value)
    {
        var room = Room(HeadBytes);
        room[0] = kind;
        Utf8Formatter.TryFormat(value, room[1..], out var digits);
        EndLine(digits + 1);
    }

    private void EndLine(int bytes)
    {
        _buffer[_used + bytes] = (byte)'\r';
        _buffer[_used + bytes + 1] = (byte)'\n';
        _used += bytes + 2;
    }

    /// <summary>Room for <paramref name="bytes"/> in one piece; sends what waits when there is none.</summary>
    private Span<byte> Room(int bytes)
    {
        if (_buffer.Length - _used < bytes)
        {
            Flush();
            if (_buffer.Length < bytes)
            {
                ThrowTooLong(bytes);
            }
        }

        return _buffer.AsSpan(_used);
    }

    private void ThrowTooLong(int bytes) =>
        throw new InvalidOperationException($"A reply of {bytes} bytes does not fit the reply buffer of {_buffer.Length} bytes.");
}
