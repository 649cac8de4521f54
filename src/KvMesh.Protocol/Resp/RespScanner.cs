using System.Diagnostics;
using System.Text;

namespace KvMesh.Protocol.Resp;

/// <summary>What a scan found.</summary>
public enum ScanStatus
{
    /// <summary>The request is not complete; scan again with more bytes at the end of the same buffer.</summary>
    NeedMore,

    /// <summary>A whole request of at least one argument.</summary>
    Request,

    /// <summary>A request without arguments, which has no reply.</summary>
    Empty,

    /// <summary>
    /// A bulk above <see cref="RespLimits.BufferedBulkBytes"/> begins at <see cref="RespScanner.Position"/>: the caller says with
    /// <see cref="RespScanner.BufferBulk"/> that it will be buffered, or takes its bytes away and says <see cref="RespScanner.PassBulk"/>.
    /// </summary>
    LargeBulk,

    /// <summary>The stream cannot be followed any more; <see cref="RespScanner.Error"/> says why and the connection ends.</summary>
    Malformed,
}

/// <summary>
/// Finds the requests in a byte stream, resumably: all state is here, and the caller's buffer needs to hold only the current
/// request, from its first byte, without the bulks that were passed. Reads no byte twice, allocates nothing once warm.
/// </summary>
public sealed class RespScanner
{
    private RespArgument[] _arguments = new RespArgument[16];
    private byte[] _inlineText = [];
    private int _count;
    private int _expected = NoHeader;
    private int _bulkBytes = NoHeader;
    private bool _bulkIsBuffered;
    private bool _isInline;
    private bool _isPassed;

    private const int NoHeader = -1;

    /// <summary>Refuse what Redis refuses of a client that must authenticate first.</summary>
    public bool IsUnauthenticated { get; set; }

    /// <summary>Bytes of the buffer that were examined. After a whole request: the bytes to consume.</summary>
    public int Position { get; private set; }

    /// <summary>Length of the bulk that <see cref="ScanStatus.LargeBulk"/> tells of.</summary>
    public int BulkBytes => _bulkBytes;

    /// <summary>Arguments complete so far, which is the index of the one that comes next.</summary>
    public int ArgumentCount => _count;

    /// <summary>Arguments that the request's header announces; 0 before it was read.</summary>
    public int ExpectedArguments => Math.Max(_expected, 0);

    /// <summary>Whether the request came as a line of text, as people type it.</summary>
    public bool IsInline => _isInline;

    /// <summary>Text of the protocol error.</summary>
    public string Error { get; private set; } = "";

    /// <summary>Goes on with the current request. <paramref name="buffer"/> begins with the request's first byte.</summary>
    public ScanStatus Scan(ReadOnlySpan<byte> buffer)
    {
        if (_expected == NoHeader)
        {
            if (buffer.IsEmpty)
            {
                return ScanStatus.NeedMore;
            }

            var status = buffer[0] == (byte)'*' ? ScanHeader(buffer) : ScanInline(buffer);
            if (status != ScanStatus.Request || _isInline)
            {
                return status;
            }
        }

        while (_count < _expected)
        {
            var status = ScanBulk(buffer);
            if (status != ScanStatus.Request)
            {
                return status;
            }
        }

        return ScanStatus.Request;
    }

    /// <summary>The arguments found so far; all of them after <see cref="ScanStatus.Request"/>.</summary>
    public RespRequest Request(ReadOnlySpan<byte> buffer) =>
        new(_isInline ? _inlineText : buffer, _arguments.AsSpan(0, _count));

    /// <summary>The large bulk will be buffered like a small one.</summary>
    public void BufferBulk()
    {
        Debug.Assert(_bulkBytes >= 0, "No bulk has begun.");
        _bulkIsBuffered = true;
    }

    /// <summary>
    /// The caller has taken all bytes of the large bulk out of the stream. In the buffer, what follows <see cref="Position"/> is what
    /// follows the bulk.
    /// </summary>
    public void PassBulk()
    {
        Debug.Assert(_bulkBytes >= 0, "No bulk has begun.");
        _isPassed = true;
    }

    /// <summary>Begins the next request, at the start of the buffer.</summary>
    public void Reset()
    {
        Position = 0;
        _count = 0;
        _expected = _bulkBytes = NoHeader;
        _bulkIsBuffered = _isInline = _isPassed = false;
        if (_arguments.Length > 1024)
        {
            _arguments = new RespArgument[16];
        }

        if (_inlineText.Length > 1024)
        {
            _inlineText = [];
        }
    }

    internal void Add(RespArgument argument)
    {
        if (_count == _arguments.Length)
        {
            Array.Resize(ref _arguments, _arguments.Length * 2);
        }

        _arguments[_count++] = argument;
    }

    private ScanStatus ScanHeader(ReadOnlySpan<byte> buffer)
    {
        var status = ScanLength(buffer, "too big mbulk count string", "invalid multibulk length", RespLimits.MaxArguments, out var count);
        if (status != ScanStatus.Request)
        {
            return status;
        }

        if (count <= 0)
        {
            return ScanStatus.Empty;
        }

        if (IsUnauthenticated && count > RespLimits.MaxUnauthenticatedArguments)
        {
            return Refuse("unauthenticated multibulk length");
        }

        _expected = count;
        return ScanStatus.Request;
    }

    private ScanStatus ScanBulk(ReadOnlySpan<byte> buffer)
    {
        if (_bulkBytes == NoHeader)
        {
            var status = ScanBulkHeader(buffer);
            if (status != ScanStatus.Request)
            {
                return status;
            }
        }

        if (_bulkBytes > RespLimits.BufferedBulkBytes && !_bulkIsBuffered && !_isPassed)
        {
            return ScanStatus.LargeBulk;
        }

        var kept = _isPassed ? 0 : _bulkBytes;
        if (buffer.Length - Position < kept + 2)
        {
            return ScanStatus.NeedMore;
        }

        if (buffer[Position + kept] != (byte)'\r' || buffer[Position + kept + 1] != (byte)'\n')
        {
            return Refuse($"bulk of {_bulkBytes} bytes does not end in CRLF");
        }

        Add(new RespArgument(_isPassed ? -1 : Position, _bulkBytes));
        Position += kept + 2;
        _bulkBytes = NoHeader;
        _bulkIsBuffered = _isPassed = false;
        return ScanStatus.Request;
    }

    private ScanStatus ScanBulkHeader(ReadOnlySpan<byte> buffer)
    {
        if (Position == buffer.Length)
        {
            return ScanStatus.NeedMore;
        }

        if (buffer[Position] != (byte)'$')
        {
            // Redis waits for the end of the line before it looks at its first byte; we need not.
            return Refuse($"expected '$', got '{Printable(buffer[Position])}'");
        }

        var status = ScanLength(buffer, "too big bulk count string", "invalid bulk length", RespLimits.MaxBulkBytes, out var bytes);
        if (status != ScanStatus.Request)
        {
            return status;
        }

        if (bytes < 0)
        {
            return Refuse("invalid bulk length");
        }

        if (IsUnauthenticated && bytes > RespLimits.MaxUnauthenticatedBulkBytes)
        {
            return Refuse("unauthenticated bulk length");
        }

        _bulkBytes = bytes;
        return ScanStatus.Request;
    }

    /// <summary>Reads the number of a header line and moves behind the line.</summary>
    private ScanStatus ScanLength(ReadOnlySpan<byte> buffer, string tooLong, string invalid, int limit, out int length)
    {
        length = 0;
        var line = buffer[(Position + 1)..];
        var digits = 0;
        var value = 0;
        while (digits < line.Length && digits < 9 && (uint)(line[digits] - '0') <= 9)
        {
            value = (value * 10) + line[digits] - '0';
            digits++;
        }

        // The common case: a plain number, whole line here. Anything else takes the long way, for Redis' exact refusals.
        if (digits > 0 && digits + 1 < line.Length && line[digits] == (byte)'\r' && line[digits + 1] == (byte)'\n' && (line[0] != (byte)'0' || digits == 1)
            && value <= limit)
        {
            length = value;
            Position += digits + 3;
            return ScanStatus.Request;
        }

        var end = line.IndexOf((byte)'\r');
        if (end < 0 || end + 1 == line.Length)
        {
            return line.Length > RespLimits.MaxLineBytes ? Refuse(tooLong) : ScanStatus.NeedMore;
        }

        if (line[end + 1] != (byte)'\n' || !RespInteger.TryParse(line[..end], out var number) || number > limit)
        {
            return Refuse(invalid);
        }

        length = (int)Math.Max(number, -1);
        Position += end + 3;
        return ScanStatus.Request;
    }

    private ScanStatus ScanInline(ReadOnlySpan<byte> buffer)
    {
        var end = buffer[Position..].IndexOf((byte)'\n');
        if (end < 0)
        {
            Position = buffer.Length;
            return buffer.Length > RespLimits.MaxLineBytes ? Refuse("too big inline request") : ScanStatus.NeedMore;
        }

        end += Position;
        Position = end + 1;
        var line = buffer[..(end > 0 && buffer[end - 1] == (byte)'\r' ? end - 1 : end)];
        if (_inlineText.Length < line.Length)
        {
            _inlineText = new byte[Math.Max(line.Length, 256)];
        }

        _isInline = true;
        if (!RespInline.TrySplit(line, _inlineText, this))
        {
            return Refuse("unbalanced quotes in request");
        }

        return _count == 0 ? ScanStatus.Empty : ScanStatus.Request;
    }

    private ScanStatus Refuse(string reason)
    {
        Error = "Protocol error: " + reason;
        return ScanStatus.Malformed;
    }

    /// <summary>A line break in an error would end it early.</summary>
    private static string Printable(byte value) => value is (byte)'\r' or (byte)'\n' ? " " : Encoding.Latin1.GetString([value]);
}
