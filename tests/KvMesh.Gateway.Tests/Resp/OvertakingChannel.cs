using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>Lets something else happen once, in the middle of a value.</summary>
internal sealed class OvertakingChannel(IByteChannel inner, Action overtake) : IByteChannel
{
    private const int Middle = 100;

    private int _receives;

    public int Receive(Span<byte> buffer)
    {
        if (++_receives == Middle)
        {
            overtake();
        }

        return inner.Receive(buffer);
    }

    public int ReceiveOrIdle(Span<byte> buffer) => inner.ReceiveOrIdle(buffer);

    public void Send(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second = default, ReadOnlySpan<byte> third = default) =>
        inner.Send(first, second, third);
}
