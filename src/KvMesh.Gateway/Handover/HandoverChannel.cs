using System.Text;
using KvMesh.Protocol.Sockets;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Gateway.Handover;

/// <summary>Frames and descriptors over one Unix socket. One thread. Any failure ends the handover with a <see cref="HandoverException"/>.</summary>
internal sealed class HandoverChannel(StreamSocket socket, ushort version = HandoverFrame.CurrentVersion) : IDisposable
{
    public void Send(HandoverVerb verb, ReadOnlySpan<byte> body = default, ReadOnlySpan<int> descriptors = default)
    {
        try
        {
            socket.SendWithDescriptors(HandoverFrame.Write(version, verb, body, descriptors.Length), descriptors);
            socket.Send(body);
        }
        catch (ChannelException failure)
        {
            throw new HandoverException($"The other side of the handover is gone: {failure.Message}", failure);
        }
    }

    /// <summary>Receives a frame of one of these verbs; a refusal becomes an exception with its reason.</summary>
    public Received Receive(params ReadOnlySpan<HandoverVerb> expected)
    {
        var descriptors = new int[HandoverFrame.MaxDescriptors];
        var received = new Received(default, [], []);
        try
        {
            var head = new byte[HandoverFrame.HeadBytes];
            var first = socket.ReceiveWithDescriptors(head, descriptors, out var count);
            received = received with { Descriptors = [.. descriptors.Take(count).Select(number => new SafeFileHandle(number, ownsHandle: true))] };
            Fill(first == 0 ? throw Left() : head.AsSpan(first));
            var frame = HandoverFrame.Read(head);
            var body = new byte[frame.BodyBytes];
            Fill(body);
            HandoverFrame.Verify(head, body);
            Check(frame, body, expected, count);
            return received with { Verb = frame.Verb, Body = body };
        }
        catch (ChannelException failure)
        {
            received.Dispose();
            throw new HandoverException($"The other side of the handover is gone: {failure.Message}", failure);
        }
        catch
        {
            received.Dispose();
            throw;
        }
    }

    public void Dispose() => socket.Dispose();

    private void Check(HandoverFrame frame, byte[] body, ReadOnlySpan<HandoverVerb> expected, int descriptorCount)
    {
        if (frame.Verb == HandoverVerb.Refused)
        {
            throw new HandoverException(Encoding.UTF8.GetString(body));
        }

        if (frame.Version != version)
        {
            throw new HandoverException($"The other side speaks version {frame.Version} of the handover, this program version {version}. Restart the node instead.");
        }

        if (!expected.Contains(frame.Verb))
        {
            throw new HandoverException($"The handover is out of step: {frame.Verb} came instead of {expected[0]}.");
        }

        if (frame.DescriptorCount != descriptorCount)
        {
            throw new HandoverException($"Only {descriptorCount} of {frame.DescriptorCount} descriptors arrived; is the limit of open files (ulimit -n) lower here?");
        }
    }

    private void Fill(Span<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            var received = socket.Receive(buffer);
            if (received == 0)
            {
                throw Left();
            }

            buffer = buffer[received..];
        }
    }

    private static HandoverException Left() => new("The other side of the handover has left.");

    /// <summary>One frame; whoever does not take a descriptor out closes it with Dispose.</summary>
    public sealed record Received(HandoverVerb Verb, byte[] Body, SafeFileHandle[] Descriptors) : IDisposable
    {
        /// <summary>Moves descriptor <paramref name="index"/> to the caller.</summary>
        public int Take(int index)
        {
            var number = (int)Descriptors[index].DangerousGetHandle();
            Descriptors[index].SetHandleAsInvalid();
            return number;
        }

        public void Dispose() => Array.ForEach(Descriptors, descriptor => descriptor.Dispose());
    }
}
