namespace KvMesh.Protocol.Sockets;

/// <summary>A byte channel over a Unix socket, which can also carry file descriptors.</summary>
public interface IDescriptorChannel : IByteChannel
{
    /// <summary>
    /// Sends all of <paramref name="data"/> (at least one byte) with <paramref name="descriptors"/> attached to its first
    /// byte. The receiver gets duplicates: the caller keeps its own and closes them.
    /// </summary>
    void SendWithDescriptors(ReadOnlySpan<byte> data, ReadOnlySpan<int> descriptors);

    /// <summary>
    /// As <see cref="IByteChannel.Receive"/>. Descriptors that came with the bytes are stored in
    /// <paramref name="descriptors"/>, close-on-exec, and belong to the caller from then on; those that do not fit are closed.
    /// </summary>
    int ReceiveWithDescriptors(Span<byte> buffer, Span<int> descriptors, out int count);

    /// <summary>
    /// Whether neither side has ended the connection, in any direction, although requests of the peer may still be unread. Asked after
    /// memory that the peer shares was read: yes means that it was read before the peer gave up waiting.
    /// </summary>
    bool IsOpen();
}
