namespace KvMesh.Protocol.Resp;

/// <summary>What a reply is, by its first byte. RESP2 only: a client that never asks for RESP3 is never answered in it.</summary>
public enum RespReplyKind
{
    /// <summary>A line such as <c>+OK</c>; its text is in <see cref="RespReplyReader.Text"/>.</summary>
    Simple,

    /// <summary>A refusal; its text, code first, is in <see cref="RespReplyReader.Text"/>.</summary>
    Error,

    /// <summary>A number.</summary>
    Number,

    /// <summary>Bytes that follow on the stream and must be taken or skipped before the next reply is read.</summary>
    Bulk,

    /// <summary>Nothing: the answer for a key that is not there.</summary>
    Null,

    /// <summary>As many replies as <see cref="RespReply.Number"/> says follow.</summary>
    Array,
}

/// <summary>The head of one reply.</summary>
/// <param name="Number">The integer, the bytes of the bulk, or the elements of the array; else 0.</param>
public readonly record struct RespReply(RespReplyKind Kind, long Number);

/// <summary>
/// What came is no reply: the stream cannot be followed any more and the connection ends. The text tells what was expected, and
/// shows at most a few bytes of what came.
/// </summary>
public sealed class RespReplyException : IOException
{
    public RespReplyException()
    {
    }

    public RespReplyException(string message)
        : base(message)
    {
    }

    public RespReplyException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
