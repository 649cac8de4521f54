using System.Text;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>A channel that plays what a peer sends, in pieces of a given size, and keeps what it would have received.</summary>
internal sealed class MemoryChannel : IByteChannel
{
    private readonly byte[] _sent = new byte[1 << 22];
    private byte[] _input = [];
    private int _position;
    private int _sentBytes;
    private bool _isClosed;

    /// <summary>Most bytes of one receive.</summary>
    public int PieceBytes { get; set; } = int.MaxValue;

    public int Sends { get; private set; }

    public int Receives { get; private set; }

    public ReadOnlySpan<byte> Sent => _sent.AsSpan(0, _sentBytes);

    public void Play(byte[] input)
    {
        _input = input;
        _position = 0;
        _sentBytes = 0;
        Sends = Receives = 0;
    }

    /// <summary>After what was played the peer closes.</summary>
    public void CloseAfterInput() => _isClosed = true;

    public int Receive(Span<byte> buffer)
    {
        Receives++;
        var count = Math.Min(Math.Min(buffer.Length, PieceBytes), _input.Length - _position);
        if (count == 0 && !_isClosed)
        {
            throw new ChannelException($"The peer stalls after {_position} bytes.");
        }

        _input.AsSpan(_position, count).CopyTo(buffer);
        _position += count;
        return count;
    }

    public int ReceiveOrIdle(Span<byte> buffer) => _position == _input.Length && !_isClosed ? -1 : Receive(buffer);

    public void Send(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second = default, ReadOnlySpan<byte> third = default)
    {
        Sends++;
        Keep(first);
        Keep(second);
        Keep(third);
    }

    public override string ToString() => Encoding.Latin1.GetString(Sent);

    private void Keep(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_sent.AsSpan(_sentBytes));
        _sentBytes += bytes.Length;
    }
}
