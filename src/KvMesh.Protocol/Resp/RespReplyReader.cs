using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Protocol.Resp;

/// <summary>
/// Reads the replies of a Redis server: heads through a small buffer, the bytes of a bulk straight to where they belong. A length is
/// believed only within the limit that the caller gives, and no reply makes the reader allocate. One thread at a time.
/// </summary>
public sealed class RespReplyReader
{
    /// <summary>Longest line that is a reply: errors of scripts are the longest, and Redis cuts those far earlier.</summary>
    public const int MaxLineBytes = 8 * 1024;

    /// <summary>Deepest nesting of arrays that <see cref="SkipRest"/> follows. No command that is sent here answers deeper than three.</summary>
    public const int MaxDepth = 8;

    private const int BufferBytes = 16 * 1024;
    private const int ShownBytes = 16;
    private const long NoBulk = -1;

    private readonly IByteChannel _channel;
    private readonly byte[] _buffer = new byte[BufferBytes];
    private int _start;
    private int _end;
    private int _textStart;
    private int _textBytes;
    private long _bulkLeft = NoBulk;

    public RespReplyReader(IByteChannel channel) => _channel = channel;

    /// <summary>The line of the last simple reply or error, without its kind. Valid until the next call that reads.</summary>
    public ReadOnlySpan<byte> Text => _buffer.AsSpan(_textStart, _textBytes);

    /// <summary>Whether bytes are here that no reply has taken yet.</summary>
    public bool HasBuffered => _end > _start;

    /// <summary>Bytes of the current bulk that were not taken yet.</summary>
    public long BulkLeft => Math.Max(_bulkLeft, 0);

    /// <summary>Reads the head of the next reply. A bulk's bytes come next; see <see cref="ReceiveSome"/> and <see cref="EndBulk"/>.</summary>
    /// <param name="maxBulkBytes">Longest bulk, and largest array, that the caller's question can have as its answer.</param>
    /// <exception cref="RespReplyException">What came is no reply, or is longer than the limit.</exception>
    /// <exception cref="ChannelException">The connection was lost or has stalled.</exception>
    public RespReply Next(long maxBulkBytes)
    {
        Debug.Assert(_bulkLeft == NoBulk, "The bulk before this reply was not taken to its end.");
        var line = ReadLine();
        var kind = line[0];
        var rest = line[1..];
        switch (kind)
        {
            case (byte)'+':
                return new RespReply(RespReplyKind.Simple, 0);
            case (byte)'-':
                return new RespReply(RespReplyKind.Error, 0);
            case (byte)':':
                return new RespReply(RespReplyKind.Number, Number(rest));
            case (byte)'$':
                return BulkOrNull(Number(rest), maxBulkBytes);
            case (byte)'*':
                var count = Number(rest);
                return count == -1 ? new RespReply(RespReplyKind.Null, 0) : new RespReply(RespReplyKind.Array, Within(count, maxBulkBytes, "elements"));
            default:
                throw Garbage("a reply", line);
        }
    }

    /// <summary>Receives at least one byte of the current bulk, and never one behind it. Returns the count.</summary>
    public int ReceiveSome(Span<byte> destination)
    {
        Debug.Assert(_bulkLeft > 0 && !destination.IsEmpty, "There is nothing to receive.");
        if (destination.Length > _bulkLeft)
        {
            destination = destination[..(int)_bulkLeft];
        }

        int count;
        if (HasBuffered)
        {
            count = Math.Min(_end - _start, destination.Length);
            _buffer.AsSpan(_start, count).CopyTo(destination);
            _start += count;
        }
        else
        {
            count = _channel.Receive(destination);
            if (count <= 0)
            {
                ThrowClosed();
            }
        }

        _bulkLeft -= count;
        return count;
    }

    /// <summary>Fills <paramref name="destination"/> from the current bulk, which has at least that many bytes left.</summary>
    public void Receive(Span<byte> destination)
    {
        if (destination.Length > BulkLeft)
        {
            throw new RespReplyException($"A value ends after {BulkLeft} of {destination.Length} bytes.");
        }

        while (!destination.IsEmpty)
        {
            destination = destination[ReceiveSome(destination)..];
        }
    }

    /// <summary>Reads past what is left of the current bulk and its line end.</summary>
    public void EndBulk()
    {
        Debug.Assert(_bulkLeft != NoBulk, "There is no bulk.");
        Span<byte> scratch = stackalloc byte[4096];
        while (_bulkLeft > 0)
        {
            ReceiveSome(scratch);
        }

        _bulkLeft = NoBulk;
        Fill(2);
        if (_buffer[_start] != (byte)'\r' || _buffer[_start + 1] != (byte)'\n')
        {
            throw Garbage("the end of a value", _buffer.AsSpan(_start, 2));
        }

        _start += 2;
    }

    /// <summary>Reads past everything that belongs to a reply whose head was read: nothing, a bulk, or the elements of an array.</summary>
    public void SkipRest(in RespReply reply, long maxBulkBytes) => SkipNested(reply, maxBulkBytes, 1);

    private void SkipNested(in RespReply reply, long maxBulkBytes, int depth)
    {
        if (reply.Kind == RespReplyKind.Bulk)
        {
            EndBulk();
            return;
        }

        if (reply.Kind == RespReplyKind.Array)
        {
            if (depth > MaxDepth)
            {
                throw new RespReplyException($"A reply nests arrays deeper than {MaxDepth}.");
            }

            for (var element = 0L; element < reply.Number; element++)
            {
                SkipNested(Next(maxBulkBytes), maxBulkBytes, depth + 1);
            }
        }
    }

    private RespReply BulkOrNull(long bytes, long maxBulkBytes)
    {
        if (bytes == -1)
        {
            return new RespReply(RespReplyKind.Null, 0);
        }

        _bulkLeft = Within(bytes, maxBulkBytes, "bytes");
        return new RespReply(RespReplyKind.Bulk, bytes);
    }

    private static long Within(long value, long limit, string unit) =>
        value >= 0 && value <= limit ? value : throw new RespReplyException($"A reply announces {value} {unit}; at most {limit} can be the answer.");

    private static long Number(ReadOnlySpan<byte> text) => RespInteger.TryParse(text, out var value) ? value : throw Garbage("a number", text);

    /// <summary>The next line without its end; at least one byte.</summary>
    private ReadOnlySpan<byte> ReadLine()
    {
        var looked = 0;
        while (true)
        {
            var end = _buffer.AsSpan(_start + looked, _end - _start - looked).IndexOf((byte)'\n');
            if (end >= 0)
            {
                return TakeLine(looked + end);
            }

            looked = _end - _start;
            if (looked > MaxLineBytes)
            {
                throw Garbage($"a line of at most {MaxLineBytes} bytes", _buffer.AsSpan(_start, looked));
            }

            Fill(looked + 1);
        }
    }

    private ReadOnlySpan<byte> TakeLine(int bytes)
    {
        var line = _buffer.AsSpan(_start, bytes);
        if (bytes < 2 || bytes > MaxLineBytes || line[^1] != (byte)'\r')
        {
            throw Garbage("a line", line);
        }

        _textStart = _start + 1;
        _textBytes = bytes - 2;
        _start += bytes + 1;
        return line[..^1];
    }

    /// <summary>Makes at least <paramref name="count"/> bytes contiguous in the buffer.</summary>
    private void Fill(int count)
    {
        if (_end - _start >= count)
        {
            return;
        }

        if (_start + count > _buffer.Length || _start == _end)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        while (_end - _start < count)
        {
            var received = _channel.Receive(_buffer.AsSpan(_end));
            if (received <= 0)
            {
                ThrowClosed();
            }

            _end += received;
        }
    }

    [DoesNotReturn]
    private static void ThrowClosed() => throw new ChannelException("The server closed the connection in the middle of a reply.");

    private static RespReplyException Garbage(string expected, ReadOnlySpan<byte> found)
    {
        var shown = Convert.ToHexStringLower(found[..Math.Min(found.Length, ShownBytes)]);
        return new RespReplyException($"Expected {expected}, got {found.Length} bytes that begin with {(shown.Length == 0 ? "nothing" : shown)}.");
    }
}
