using System.Diagnostics;
using KvMesh.Gateway.Sockets;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Native;

/// <summary>
/// Requests with random damage, behind right checksums, never end a session with anything but a lost channel. Longer with
/// KVMESH_FUZZ_SECONDS; another course with KVMESH_FUZZ_SEED.
/// </summary>
public sealed class NativeSessionFuzzTests
{
    private static readonly double Seconds = double.Parse(Environment.GetEnvironmentVariable("KVMESH_FUZZ_SECONDS") ?? "1");
    private static readonly int Seed = int.Parse(Environment.GetEnvironmentVariable("KVMESH_FUZZ_SEED") ?? "20261121");

    [Fact]
    public void Damaged_requests_are_answered_or_end_the_connection()
    {
        using var node = new NativeSessionFixture();
        byte[][] requests =
        [
            node.Frame(Verb.Get, writer => NativeSessionFixture.Get(writer, 1)),
            node.Frame(Verb.Put, NativeSessionFixture.Put(1, 1000), NativeSessionFixture.Trailed(TestBytes.Payload(1, 1000))),
            node.Frame(Verb.Match, writer => { writer.WriteUInt32(1); Protocol.Native.Messages.KeyWriting.WriteChain(writer, NativeSessionFixture.Scope.Bytes.Span, TestBytes.Hash(1, 1)); }),
            node.Frame(Verb.Stats),
            node.Frame(Verb.Watch, writer => new Protocol.Native.Messages.WatchRequest(0, 10, 0).Write(writer)),
        ];
        var startedAt = Stopwatch.GetTimestamp();
        for (var seed = Seed; Stopwatch.GetElapsedTime(startedAt).TotalSeconds < Seconds; seed++)
        {
            var random = new Random(seed);
            var stream = Enumerable.Range(0, random.Next(1, 6)).SelectMany(_ => Damage(random, requests[random.Next(requests.Length)])).ToArray();
            Serve(node, stream, random.Next(1, 2000), seed);
        }
    }

    private static void Serve(NativeSessionFixture node, byte[] stream, int pieceBytes, int seed)
    {
        node.Channel.PieceBytes = pieceBytes;
        node.Channel.Closes = true;
        node.Channel.Queue(stream);
        try
        {
            Assert.Equal(SessionOutcome.Close, node.Session.Run(node.Channel));
        }
        catch (ChannelException)
        {
            // The stream ended inside a frame.
        }
        catch (Exception failure)
        {
            throw new InvalidOperationException($"KVMESH_FUZZ_SEED={seed} fails.", failure);
        }

        node.Channel.TakeSent();
        node.Channel.PieceBytes = int.MaxValue;
        node.Reconnect();
    }

    /// <summary>Changes bytes of header, head or payload, and mostly makes the checksums right again. Waits stay short.</summary>
    private static byte[] Damage(Random random, byte[] request)
    {
        var frame = request.ToArray();
        var headBytes = BitConverter.ToInt32(frame, 24);
        for (var count = random.Next(3); count > 0; count--)
        {
            var isHeader = random.Next(4) == 0;
            var offset = isHeader ? random.Next(5, 24) : random.Next(FrameHeader.Bytes, Math.Max(frame.Length, FrameHeader.Bytes + 1));
            if (offset < frame.Length && (Verb)frame[5] != Verb.Watch)
            {
                frame[offset] = (byte)random.Next(256);
            }
        }

        if (random.Next(8) != 0)
        {
            BitConverter.TryWriteBytes(frame.AsSpan(28), Crc32C.Compute(frame.AsSpan(0, 28)));
            if (headBytes > 0)
            {
                BitConverter.TryWriteBytes(frame.AsSpan(FrameHeader.Bytes + headBytes), Crc32C.Compute(frame.AsSpan(FrameHeader.Bytes, headBytes)));
            }
        }

        return frame;
    }
}
