using KvMesh.Cluster.Map;
using KvMesh.Cluster.Sequences;
using KvMesh.Gateway.Native.Peers;
using KvMesh.Gateway.Sockets;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Placement;
using KvMesh.Protocol.Sequences;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Gateway.Tests.Native;

/// <summary>
/// Requests of every verb with random damage, behind right checksums, on a connection that shares memory. A session answers them or ends the
/// connection; it never fails, and afterwards the node serves as before.
/// </summary>
public sealed class NativeSessionFuzzTests
{
    private const int Rounds = 600;
    private static readonly DigestSecret Secret = new(17, 18);

    [Fact]
    public async Task Damaged_requests_are_answered_or_end_the_connection()
    {
        await using var sequences = new SequenceHost(
            new EmbeddedSequenceStore(null, new SequenceRules(), TimeProvider.System, NullLoggerFactory.Instance),
            new SequenceHostOptions { Node = "test" }, TimeProvider.System, NullLoggerFactory.Instance);
        using var node = new NativeSessionFixture(
            sequences: sequences, isUnix: true, change: options => options with { StagingBytes = 64 << 10, TotalStagingBytes = 1 << 20 });
        using var meter = new System.Diagnostics.Metrics.Meter("test");
        var map = new BlockMap(new BlockMapOptions());
        var locator = new BlockLocator(map, new NoDirectories(), new MapMetrics(map, meter))
        {
            Role = new DirectoryRole(SlotAssignment.Empty, Secret, SlotSet.All(), 0),
        };
        using var door = new PeerDoor(node.Engine.Engine, locator, TimeProvider.System);
        node.Serve(door);
        byte[] attach = [.. node.Frame(Verb.Attach), .. node.Frame(Verb.Staging, writer => writer.WriteUInt64(64 << 10))];
        var requests = Requests(node);
        foreach (var request in requests)
        {
            // As they are, none of them is malformed.
            node.Reconnect();
            Assert.All(node.Send([.. attach, .. request]), answer => Assert.NotEqual(NativeStatus.BadRequest, answer.Status));
        }

        Fuzz.Run(Rounds, random =>
        {
            node.Reconnect();
            var stream = Enumerable.Range(0, random.Next(1, 8)).SelectMany(_ => Damage(random, requests[random.Next(requests.Count)]));
            Serve(node, [.. attach, .. stream], random.Next(1, 2000));
        });

        node.Reconnect();
        Assert.Equal(NativeStatus.Ok, node.Ask(Verb.Put, NativeSessionFixture.Put(99, 1000), NativeSessionFixture.Trailed(TestBytes.Payload(99, 1000))).Status);
        Assert.Equal(TestBytes.Payload(99, 1000), node.Ask(Verb.Get, writer => NativeSessionFixture.Get(writer, 99)).Payload);
    }

    private static List<byte[]> Requests(NativeSessionFixture node)
    {
        var scope = NativeSessionFixture.Scope.Bytes.ToArray();
        Action<FrameWriter> chain = writer => writer.WriteChain(scope, TestBytes.Hash(1, 1));
        return
        [
            node.Frame(Verb.Ping),
            node.Frame(Verb.Put, NativeSessionFixture.Put(1, 1000), NativeSessionFixture.Trailed(TestBytes.Payload(1, 1000))),
            node.Frame(Verb.Get, writer => NativeSessionFixture.Get(writer, 1)),
            node.Frame(Verb.Get, writer =>
            {
                new GetRequest(GetMode.Range, 100, 10).Write(writer);
                chain(writer);
            }),
            node.Frame(Verb.Match, writer =>
            {
                writer.WriteUInt32(1);
                chain(writer);
            }),
            node.Frame(Verb.Offer, writer =>
            {
                writer.WriteUInt32(1);
                writer.WriteUInt32(1000);
                chain(writer);
            }),
            node.Frame(Verb.Exists, writer =>
            {
                writer.WriteUInt32(10);
                writer.WriteOpaque("a key"u8);
            }),
            node.Frame(Verb.Lease, writer =>
            {
                new LeaseRequest { Milliseconds = 10, Releases = [1, 0, 0, 0, 0, 0, 0, 0] }.Write(writer);
                chain(writer);
            }),
            node.Frame(Verb.Release, writer =>
            {
                writer.WriteUInt32(1);
                writer.WriteInt64(1);
            }),
            node.Frame(Verb.Remove, writer => writer.WriteOpaque("a key"u8)),
            node.Frame(Verb.SectionBegin, writer =>
            {
                new SectionBeginRequest { BlockBytes = 150, SectionBytes = 100 }.Write(writer);
                writer.WriteChain(scope, TestBytes.Hash(2, 1));
            }),
            node.Frame(Verb.SectionPublish, writer => new SectionPublishRequest(1, 0, Crc32C.Compute(new byte[100])).WriteTo(writer), new byte[100]),
            node.Frame(Verb.SectionPublish, writer => new SectionPublishRequest(1, 1, Crc32C.Compute(new byte[50])).WriteTo(writer), new byte[50]),
            node.Frame(Verb.SectionAbandon, writer => writer.WriteUInt64(1)),
            node.Frame(Verb.SectionFollow, writer =>
            {
                // Of a block that nobody writes, so that a damaged wait is none.
                new SectionFollowRequest(0, 100, 0, 1000, 0).Write(writer);
                writer.WriteChain(scope, TestBytes.Hash(3, 1));
            }),
            node.Frame(Verb.HolderAnnounce, writer =>
            {
                HolderAnnounceRequest.Write(writer, 0, [1000]);
                chain(writer);
            }),
            node.Frame(Verb.HolderWithdraw, chain),
            node.Frame(Verb.HolderAsks, writer => new HolderAsksRequest(1, 16, 0).WriteTo(writer)),
            node.Frame(Verb.HolderDecline, writer => writer.WriteUInt64(1)),
            node.Frame(
                Verb.Put,
                writer =>
                {
                    new PutRequest { BlockBytes = 1000, Ask = 1 }.Write(writer);
                    chain(writer);
                },
                NativeSessionFixture.Trailed(TestBytes.Payload(1, 1000))),
            node.Frame(Verb.Stats),
            node.Frame(Verb.Watch, writer => new WatchRequest(0, 10, 0).Write(writer)),
            node.Frame(Verb.Watch, writer => new FeedRequest(0, 10, DigestKeyId.Of(Secret), SlotSet.All()).Write(writer)),
            node.Frame(Verb.Commit, writer =>
            {
                new CommitRequest { Offset = 4096, PayloadBytes = 2000, ParentHash = TestBytes.Hash(1, 1) }.Write(writer);
                writer.WriteChain(scope, TestBytes.Hash(1, 2));
            }),
            node.Frame(Verb.Report, chain),
            node.Frame(Verb.Locate, writer => LocateRequest.Write(writer, DigestKeyId.Of(Secret), [new KeyDigest(1, 2), new KeyDigest(3, 4)])),
            node.Frame(Verb.Inventory, writer => new InventoryRequest(0, 10, DigestKeyId.Of(Secret), SlotSet.All()).Write(writer)),
            node.Frame(Verb.NodeReport, new NodeReportRequest(7, true).Write),
            node.Frame(Verb.OrderGive, new OrderGiveRequest(7, 3, 2, "default", [scope]).Write),
            node.Frame(Verb.Chain, new ChainRequest("default", scope, 16).Write),
            node.Frame(Verb.Hold, new HoldRequest(7, TimeSpan.FromMinutes(1), "default", [scope]).Write),
            node.Frame(Verb.SequenceShow, writer => SequenceRequests.WritePrefix(writer, "chat")),
            node.Frame(Verb.SequenceClose, writer => SequenceRequests.Write(writer, "chat", new CloseSequence { RequestId = 1 })),
            node.Frame(Verb.SequenceOpen, writer => SequenceRequests.Write(writer, "chat", new OpenSequence { RequestId = 2, Scope = scope, Parts = 1, Holder = "test" })),
        ];
    }

    private static void Serve(NativeSessionFixture node, byte[] stream, int pieceBytes)
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

        node.Channel.TakeSent();
        node.Channel.PieceBytes = int.MaxValue;
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

    private sealed class NoDirectories : IDirectoryClient
    {
        public bool Locate(SlotAssignment assignment, in DigestSecret secret, ReadOnlySpan<KeyDigest> digests, Span<BlockHolders> holders, BlockMap map, TimeSpan limit) => false;

        public bool LocateAll(SlotAssignment assignment, in DigestSecret secret, ReadOnlySpan<KeyDigest> digests, HolderLists holders, BlockMap map, TimeSpan limit) => false;
    }
}
