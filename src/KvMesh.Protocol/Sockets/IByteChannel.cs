namespace KvMesh.Protocol.Sockets;

/// <summary>
/// A connected byte stream that blocks. The data plane gives each busy connection a thread of its own, so that block
/// bytes go between socket and arena in one system call, without a buffer or a thread hop in between.
/// One reader and one writer at a time.
/// </summary>
public interface IByteChannel
{
    /// <summary>
    /// Receives at least one byte into <paramref name="buffer"/>. Returns the count, or 0 when the peer has closed.
    /// Throws <see cref="ChannelException"/> when the peer makes no progress for the channel's stall limit, or the
    /// connection is lost.
    /// </summary>
    int Receive(Span<byte> buffer);

    /// <summary>As <see cref="Receive"/>, for a command boundary: returns -1 when nothing arrives within the idle window.</summary>
    int ReceiveOrIdle(Span<byte> buffer);

    /// <summary>Sends the parts in order as one gathered write, all of them. Throws <see cref="ChannelException"/> on loss or stall.</summary>
    void Send(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second = default, ReadOnlySpan<byte> third = default);
}

/// <summary>The connection is lost or its peer has stalled. Ends the connection, never the process.</summary>
public sealed class ChannelException : IOException
{
    /// <summary>What happened; decides the counter and the log line, not the outcome.</summary>
    public ChannelFault Fault { get; init; } = ChannelFault.Lost;

    /// <summary>Whether a connect was refused: nobody listens at that address.</summary>
    public bool IsRefusal { get; init; }

    public ChannelException()
    {
    }

    public ChannelException(string message)
        : base(message)
    {
    }

    public ChannelException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
