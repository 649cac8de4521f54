using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Placement;
using KvMesh.Protocol.Sequences;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Protocol.Tests.Native;

/// <summary>
/// Random bytes and randomly damaged frames never make a reader throw anything but a lost channel, read past its bytes, or take memory
/// without bound.
/// </summary>
public sealed class FrameFuzzTests
{
    private const int Rounds = 8_000;

    [Fact]
    public void Damaged_streams_of_frames_end_in_a_verdict()
    {
        byte[][] frames = [.. Frames.All.Values];
        Fuzz.Run(Rounds, random =>
        {
            var stream = Enumerable.Range(0, random.Next(1, 5)).SelectMany(_ => frames[random.Next(frames.Length)]).ToArray();
            for (var damage = random.Next(4); damage > 0; damage--)
            {
                stream[random.Next(stream.Length)] = (byte)random.Next(256);
            }

            Follow(new MemoryChannel(stream[..random.Next(stream.Length + 1)], random.Next(1, 200)));
        });
    }

    [Fact]
    public void Random_heads_behind_right_checksums_end_in_a_verdict()
    {
        byte[][] frames = [.. Frames.All.Values];
        Fuzz.Run(Rounds, random =>
        {
            var head = random.Next(3) == 0 ? Random(random, random.Next(200)) : frames[random.Next(frames.Length)][FrameHeader.Bytes..];
            for (var damage = random.Next(4); damage > 0 && head.Length > 0; damage--)
            {
                head[random.Next(head.Length)] = (byte)random.Next(256);
            }

            ReadAsEverything(head, random.Next(300_000));
        });
    }

    private static void Follow(MemoryChannel channel)
    {
        var receiver = new FrameReceiver();
        try
        {
            while (receiver.Next(channel, out var header) == FrameArrival.Frame)
            {
                ReadAsEverything(receiver.Head, header.PayloadBytes);
                receiver.Skip(channel, header.PayloadBytes);
            }
        }
        catch (ChannelException)
        {
            Assert.Equal(0, channel.Left);
        }
    }

    private static void ReadAsEverything(ReadOnlySpan<byte> head, long payloadBytes)
    {
        HelloRequest.TryRead(head, out _);
        HelloResponse.TryRead(head, out _);
        AttachResponse.TryRead(head, out _);
        WatchRequest.TryRead(head, out _);
        FeedRequest.TryRead(head, out _);
        InventoryRequest.TryRead(head, out _);
        if (LocateRequest.TryRead(head, out var locate))
        {
            locate.DigestAt(locate.Count - 1);
        }

        BlockHead.TryRead(head, payloadBytes, out _);
        ReadKeysAfter(head, static (ref HeadReader reader) => GetRequest.Read(ref reader));
        ReadKeysAfter(head, static (ref HeadReader reader) => PutRequest.Read(ref reader));
        ReadKeysAfter(head, static (ref HeadReader reader) => CommitRequest.Read(ref reader));
        ReadKeysAfter(head, static (ref HeadReader reader) => LeaseRequest.Read(ref reader));
        ReadKeysAfter(head, static (ref HeadReader reader) => OfferRequest.Read(ref reader));
        ReadKeysAfter(head, static (ref HeadReader reader) => HolderAnnounceRequest.Read(ref reader));
        ReadOfPeers(head);
        ReadOfHolders(head);
        ReadOfSequences(head);
    }

    private static void ReadOfPeers(ReadOnlySpan<byte> head)
    {
        NodeReportRequest.TryRead(head, out _);
        NodeReport.TryRead(head, out _);
        OrderGiveRequest.TryRead(head, out _);
        OrderCancelRequest.TryRead(head, out _);
        OrderAnswer.TryRead(head, out _);
        OrderProgressRequest.TryRead(head, out _);
        OrderProgress.TryReadAll(head, out _);
        ChainRequest.TryRead(head, out _);
        ChainAnswer.TryRead(head, out _);
        HoldRequest.TryRead(head, out _);
        HoldAnswer.TryRead(head, out _);
        DrainRequest.TryRead(head, out _);
        DrainAnswer.TryRead(head, out _);
        LeavingRequest.TryRead(head, out _);
        LeavingRun.TryRead(head, out _);
        DeskRequest.TryRead(head, out _);
        SectionPublishRequest.TryRead(head, out _);
        SectionFollowResponse.TryRead(head, 4, 6, out _);
        var begin = new HeadReader(head);
        SectionBeginRequest.Read(ref begin);
        var follow = new HeadReader(head);
        SectionFollowRequest.Read(ref follow);
        var origin = new HeadReader(head);
        BlockOriginHead.TryRead(ref origin, out _);
    }

    private static void ReadOfHolders(ReadOnlySpan<byte> head)
    {
        HolderAnnounceResponse.TryRead(head, out _);
        HolderAsksRequest.TryRead(head, out _);
        HolderScope.TryRead(head, out _);
        if (HolderAsk.TryReadAll(head, out _, out var asks))
        {
            Assert.InRange(asks.Count, 0, HolderLimits.MaxAsksPerAnswer);
            foreach (var ask in asks)
            {
                HolderScope.TryRead(ask.Key.Span, out _);
            }
        }
    }

    private static void ReadOfSequences(ReadOnlySpan<byte> head)
    {
        for (var verb = Verb.SequenceOpen; verb <= Verb.SequenceList; verb++)
        {
            SequenceRequests.TryRead(verb, head, out _, out _);
        }

        var rows = new HeadReader(head);
        SequenceAnswers.TryReadRows(ref rows, out _, out _, out _);
        var list = new HeadReader(head);
        SequenceAnswers.TryReadList(ref list, out _, out _);
        SegmentRow.TryReadAll(head, out _);
    }

    private static void ReadKeysAfter(ReadOnlySpan<byte> head, ReadStart start)
    {
        var reader = new HeadReader(head);
        start(ref reader);
        if (!KeySet.TryRead(ref reader, out var keys, out _))
        {
            return;
        }

        Span<byte> buffer = new byte[Limits.MaxKeyBytes];
        var cursor = keys.GetCursor();
        var count = 0;
        while (cursor.TryNext(buffer, out var key))
        {
            Assert.InRange(key.Length, 1, Limits.MaxKeyBytes);
            count++;
        }

        Assert.Equal(keys.Count, count);
    }

    private static byte[] Random(Random random, int bytes)
    {
        var result = new byte[bytes];
        random.NextBytes(result);
        return result;
    }

    private delegate void ReadStart(ref HeadReader reader);
}
