using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Tests.Native;

/// <summary>
/// A connection whose peer is the test: it hands over what is queued, is idle when nothing is left, and keeps or only counts what the
/// session sends. Nothing is allocated while a session runs when the answers are only counted. Descriptors are sent to nobody.
/// </summary>
internal sealed class NativeClientChannel : IDescriptorChannel
{
    private readonly List<byte> _sent = [];
    private byte[] _incoming = [];
    private int _position;

    /// <summary>Whether the answers are kept.</summary>
    public bool Keeps { get; set; } = true;

    /// <summary>Most bytes handed over at once.</summary>
    public int PieceBytes { get; set; } = int.MaxValue;

    /// <summary>Whether the peer closes when everything was taken; else it is idle.</summary>
    public bool Closes { get; set; }

    public long SentBytes { get; private set; }

    public int SendCount { get; private set; }

    public void Queue(byte[] bytes)
    {
        _incoming = bytes;
        _position = 0;
    }

    public byte[] TakeSent()
    {
        byte[] sent = [.. _sent];
        _sent.Clear();
        return sent;
    }

    public int Receive(Span<byte> buffer)
    {
        var count = Math.Min(Math.Min(buffer.Length, PieceBytes), _incoming.Length - _position);
        _incoming.AsSpan(_position, count).CopyTo(buffer);
        _position += count;
        return count;
    }

    public int ReceiveOrIdle(Span<byte> buffer)
    {
        var received = Receive(buffer);
        return received > 0 || Closes ? received : -1;
    }

    public void Send(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second = default, ReadOnlySpan<byte> third = default)
    {
        SendCount++;
        SentBytes += first.Length + second.Length + third.Length;
        if (Keeps)
        {
            _sent.AddRange(first);
            _sent.AddRange(second);
            _sent.AddRange(third);
        }
    }

    public bool IsOpen() => true;

    public void SendWithDescriptors(ReadOnlySpan<byte> data, ReadOnlySpan<int> descriptors) => Send(data);

    public int ReceiveWithDescriptors(Span<byte> buffer, Span<int> descriptors, out int count)
    {
        count = 0;
        return Receive(buffer);
    }
}
