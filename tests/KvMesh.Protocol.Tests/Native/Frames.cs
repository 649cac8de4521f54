using KvMesh.Protocol.Coding;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Placement;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Protocol.Tests.Native;

/// <summary>Example frames of every message. The golden vectors are made of the same.</summary>
internal static class Frames
{
    private static readonly byte[] Layout = [.. Enumerable.Range(0, 32).Select(value => (byte)value)];

    private const ulong DigestKey = 0xa1a2a3a4a5a6a7a8;

    private static KeyDigest FirstDigest => new(0x0102030405060708, 0x1112131415161718);

    private static KeyDigest SecondDigest => new(0x2122232425262728, 0x3132333435363738);

    public static BlockScope Scope { get; } = new("llama-3-8b", "r1", Layout, 7);

    public static IReadOnlyDictionary<string, byte[]> All { get; } = new Dictionary<string, byte[]>
    {
        ["hello-request"] = Build(Verb.Hello, FrameFlags.None, NativeStatus.Ok, writer => new HelloRequest
        {
            LowestVersion = 1,
            HighestVersion = 1,
            Capabilities = NativeCapabilities.SharedMemory,
            Token = "secret"u8,
            TenantName = "red"u8,
            ClientName = "golden"u8,
        }.Write(writer)),
        ["hello-response"] = Build(Verb.Hello, FrameFlags.Response, NativeStatus.Ok, writer => new HelloResponse
        {
            Rights = 7,
            Capabilities = NativeCapabilities.SharedMemory | NativeCapabilities.Watch,
            Incarnation = 3,
            NodeId = "node-1",
            MaxExistenceLease = TimeSpan.FromMinutes(2),
            MaxResidenceLease = TimeSpan.FromSeconds(30),
            Tenant = "red",
            UnixSocketPath = "/run/kvmesh/native.sock",
            ServerName = "kvmesh",
        }.Write(writer)),
        ["hello-refusal"] = Build(Verb.Hello, FrameFlags.Response, NativeStatus.UnsupportedVersion, writer => writer.WriteText("version 1 is spoken here.")),
        ["ping-request"] = Build(Verb.Ping, FrameFlags.None, NativeStatus.Ok, _ => { }),
        ["match-request"] = Build(Verb.Match, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            writer.WriteUInt32(2000);
            writer.WriteChain(Scope.Bytes.Span, Hashes(2));
        }),
        ["match-lossless-request"] = Build(Verb.Match, FrameFlags.LosslessOnly, NativeStatus.Ok, writer =>
        {
            writer.WriteUInt32(2000);
            writer.WriteChain(Scope.Bytes.Span, Hashes(2));
        }),
        ["match-response"] = Build(Verb.Match, FrameFlags.Response, NativeStatus.Ok, writer =>
        {
            writer.WriteUInt32(2);
            writer.WriteUInt32(0);
            writer.WriteInt64(1_763_764_200_000);
        }),
        ["get-request"] = Build(Verb.Get, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            new GetRequest(GetMode.Whole, 4 << 20, 0).Write(writer);
            writer.WriteChain(Scope.Bytes.Span, Hashes(2));
        }),
        ["get-range-request"] = Build(Verb.Get, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            new GetRequest(GetMode.Range, 1000, 70_000).Write(writer);
            writer.WriteOpaque("plain/key"u8);
        }),
        ["get-encoded-request"] = Build(Verb.Get, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            new GetRequest(GetMode.Whole, 4 << 20, 0) { Flags = GetFlags.AcceptEncoded, Codecs = CodecKinds.Of([1, 11, 20]) }.Write(writer);
            writer.WriteOpaque("plain/key"u8);
        }),
        ["get-encoded-response"] = Build(
            Verb.Get,
            FrameFlags.Response,
            NativeStatus.Encoded,
            writer => new EncodedHead
            {
                Index = 1,
                BlockBytes = 4096,
                BlockTableChecksum = 0x0A0B0C0D,
                Codec = 4,
                Loss = new Loss(4, 0.5f, 0.25f, 0.125f),
                TableChecksum = 0x0DB5_E3C9,
                Entries = [0x6D, 0xD9, 0x22, 0xD3],
            }.Write(writer),
            "block!"u8.ToArray()),
        ["get-response"] = Build(Verb.Get, FrameFlags.Response | FrameFlags.More, NativeStatus.Ok, writer => new BlockHead
        {
            Index = 0,
            BlockBytes = 6,
            TableChecksum = 0x0A0B0C0D,
            Entries = [0xE3, 0xB5, 0x0D, 0x01],
        }.Write(writer), "block!"u8.ToArray()),
        ["get-peer-request"] = Build(Verb.Get, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            new GetRequest(GetMode.Range, 8 << 20, 0) { Flags = GetFlags.ForPeer }.Write(writer);
            writer.WriteOpaque("a key"u8);
        }),
        ["get-peer-response"] = Build(
            Verb.Get,
            FrameFlags.Response,
            NativeStatus.Ok,
            writer =>
            {
                new BlockHead { BlockBytes = 6, TableChecksum = 0x0DB5_E3C9, Entries = [0x6D, 0xD9, 0x22, 0xD3] }.Write(writer);
                new BlockOriginHead
                {
                    ExpiresAt = 1_700_000_000_000,
                    Model = "llama-3-8b"u8,
                    Revision = "r1"u8,
                    ParentKey = "its parent"u8,
                    CompanionOf = "its block"u8,
                }.Write(writer);
            },
            "block!"u8.ToArray()),
        ["get-response-miss"] = Build(Verb.Get, FrameFlags.Response, NativeStatus.Miss, writer => new BlockHead { Index = 1 }.Write(writer)),
        ["offer-request"] = Build(Verb.Offer, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            writer.WriteUInt32(2);
            writer.WriteUInt32(4096);
            writer.WriteUInt32(8192);
            writer.WriteChain(Scope.Bytes.Span, Hashes(2));
        }),
        ["put-request"] = Build(Verb.Put, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            new PutRequest { BlockBytes = 6, ParentHash = Hashes(1) }.Write(writer);
            writer.WriteChain(Scope.Bytes.Span, Hashes(2).AsSpan(32));
        }, Trailed("block!"u8.ToArray())),
        ["get-peer-lossy-response"] = Build(
            Verb.Get,
            FrameFlags.Response,
            NativeStatus.Lossy,
            writer =>
            {
                new BlockHead { BlockBytes = 6, TableChecksum = 0x0DB5_E3C9, Entries = [0x6D, 0xD9, 0x22, 0xD3] }.Write(writer);
                new BlockOriginHead { Model = "llama-3-8b"u8, Revision = "r1"u8, ParentKey = "its parent"u8, Loss = new Loss(3, 0.05f, 0.04f, 0.03f) }.Write(writer);
            },
            "block!"u8.ToArray()),
        ["get-peer-lossless-request"] = Build(Verb.Get, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            new GetRequest(GetMode.Range, 8 << 20, 0) { Flags = GetFlags.ForPeer | GetFlags.LosslessOnly }.Write(writer);
            writer.WriteOpaque("a key"u8);
        }),
        ["get-peer-lossless-miss"] = Build(Verb.Get, FrameFlags.Response, NativeStatus.Lossy, writer => new BlockHead { Index = 0 }.Write(writer)),
        ["get-peer-exact-response"] = Build(
            Verb.Get,
            FrameFlags.Response,
            NativeStatus.Ok,
            writer =>
            {
                new BlockHead { BlockBytes = 6, TableChecksum = 0x0DB5_E3C9, Entries = [0x6D, 0xD9, 0x22, 0xD3] }.Write(writer);
                new BlockOriginHead { Model = "llama-3-8b"u8, Revision = "r1"u8, LosslessOnly = true }.Write(writer);
            },
            "block!"u8.ToArray()),
        ["section-begin-request"] = Build(Verb.SectionBegin, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            new SectionBeginRequest { BlockBytes = 10, SectionBytes = 4, ParentHash = Hashes(1) }.Write(writer);
            writer.WriteChain(Scope.Bytes.Span, Hashes(2).AsSpan(32));
        }),
        ["section-begin-response"] = Build(Verb.SectionBegin, FrameFlags.Response, NativeStatus.Ok, writer => writer.WriteUInt64(7)),
        ["section-publish-request"] = Build(
            Verb.SectionPublish, FrameFlags.None, NativeStatus.Ok, writer => new SectionPublishRequest(7, 1, Crc32C.Compute("k!bl"u8)).WriteTo(writer), "k!bl"u8.ToArray()),
        ["section-abandon-request"] = Build(Verb.SectionAbandon, FrameFlags.None, NativeStatus.Ok, writer => writer.WriteUInt64(7)),
        ["section-follow-request"] = Build(Verb.SectionFollow, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            new SectionFollowRequest(1, 4, SectionProof.Append(0, Crc32C.Compute("bloc"u8)), 1 << 20, 5000).Write(writer);
            writer.WriteChain(Scope.Bytes.Span, Hashes(1));
        }),
        ["section-follow-response"] = Build(
            Verb.SectionFollow, FrameFlags.Response, NativeStatus.Ok,
            writer =>
            {
                new SectionFollowResponse { BlockBytes = 10, First = 1, Count = 2, IsSealed = true }.WriteStart(writer);
                writer.WriteUInt32(Crc32C.Compute("k!bl"u8));
                writer.WriteUInt32(Crc32C.Compute("oc"u8));
            },
            "k!bloc"u8.ToArray()),
        ["holder-announce-request"] = Build(Verb.HolderAnnounce, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            HolderAnnounceRequest.Write(writer, 3, [1 << 20, 4096]);
            writer.WriteChain(Scope.Bytes.Span, Hashes(2));
        }),
        ["holder-announce-response"] = Build(
            Verb.HolderAnnounce, FrameFlags.Response, NativeStatus.Ok, writer => new HolderAnnounceResponse(0x0A0B0C0D, 3, 2, 65_536).WriteTo(writer)),
        ["holder-withdraw-request"] = Build(Verb.HolderWithdraw, FrameFlags.None, NativeStatus.Ok, writer => writer.WriteChain(Scope.Bytes.Span, Hashes(1))),
        ["holder-asks-request"] = Build(
            Verb.HolderAsks, FrameFlags.None, NativeStatus.Ok, writer => new HolderAsksRequest(0x0A0B0C0D, 16, 5000).WriteTo(writer)),
        ["holder-asks-response"] = Build(Verb.HolderAsks, FrameFlags.Response, NativeStatus.Ok, writer => HolderAsk.WriteAll(writer, 4,
        [
            new HolderAsk(0, HolderAskKind.Forget, false, 0, 0, ChainKeys(2)[0]),
            new HolderAsk(0, HolderAskKind.ForgetScope, false, 0, 0, new HolderScope("llama-3-8b", null).ToBytes()),
            new HolderAsk(0, HolderAskKind.ForgetAll, false, 0, 0, default),
            new HolderAsk(77, HolderAskKind.Give, true, 4096, 250, ChainKeys(2)[1]),
        ])),
        ["holder-decline-request"] = Build(Verb.HolderDecline, FrameFlags.None, NativeStatus.Ok, writer => writer.WriteUInt64(77)),
        ["put-hand-over-request"] = Build(
            Verb.Put,
            FrameFlags.None,
            NativeStatus.Ok,
            writer =>
            {
                new PutRequest { BlockBytes = 6, ParentHash = Hashes(1), Ask = 77 }.Write(writer);
                writer.WriteChain(Scope.Bytes.Span, Hashes(2).AsSpan(32));
            },
            Trailed("block!"u8.ToArray())),
        ["exists-request"] = Build(Verb.Exists, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            writer.WriteUInt32(500);
            writer.WriteOpaque("plain/key"u8);
        }),
        ["lease-request"] = Build(Verb.Lease, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            new LeaseRequest { Milliseconds = 1000, Releases = [9, 0, 0, 0, 0, 0, 0, 0] }.Write(writer);
            writer.WriteChain(Scope.Bytes.Span, Hashes(1));
        }),
        ["lease-response"] = Build(Verb.Lease, FrameFlags.Response, NativeStatus.Ok, writer =>
        {
            writer.WriteUInt32(1000);
            writer.WriteUInt32(1);
            new LeaseGrant { DescriptorIndex = 5, Generation = 12, PayloadOffset = 1 << 20, PayloadBytes = 4 << 20, TableChecksum = 0x01020304, LeaseId = 10 }.Write(writer);
        }),
        ["release-request"] = Build(Verb.Release, FrameFlags.NoReply, NativeStatus.Ok, writer =>
        {
            writer.WriteUInt32(1);
            writer.WriteInt64(10);
        }),
        ["attach-response"] = Build(Verb.Attach, FrameFlags.Response, NativeStatus.Ok, writer => new AttachResponse
        {
            FileBytes = 1 << 30,
            DataOffset = 1 << 20,
            DataBytes = (1 << 30) - (1 << 20),
            DescriptorCount = 8000,
            DescriptorOffset = 4096,
            Incarnation = 3,
        }.Write(writer)),
        ["commit-request"] = Build(Verb.Commit, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            new CommitRequest { TableChecksum = 0x01020304, Offset = 8192, PayloadBytes = 4 << 20, ParentHash = Hashes(1) }.Write(writer);
            writer.WriteChain(Scope.Bytes.Span, Hashes(2).AsSpan(32));
        }),
        ["commit-unsummed-request"] = Build(Verb.Commit, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            new CommitRequest { Offset = 4096, PayloadBytes = 1 << 20 }.Write(writer);
            writer.WriteOpaque("key"u8);
        }),
        ["watch-request"] = Build(Verb.Watch, FrameFlags.None, NativeStatus.Ok, writer => new WatchRequest(41, 512, 5000).Write(writer)),
        ["watch-response"] = Build(Verb.Watch, FrameFlags.Response, NativeStatus.Ok, writer =>
        {
            new WatchResponse(42, 1, false).Write(writer);
            writer.WriteInt64(42);
            writer.WriteByte(1);
            writer.WriteByte(1);
            writer.WriteUInt16(3);
            writer.WriteUInt32(4096);
            writer.WriteBytes("key"u8);
        }),
        ["feed-request"] = Build(Verb.Watch, FrameFlags.None, NativeStatus.Ok, writer => new FeedRequest(41, 512, DigestKey, Slots()).Write(writer)),
        ["feed-response"] = Build(Verb.Watch, FrameFlags.Response, NativeStatus.Ok, writer =>
        {
            new WatchResponse(43, 2, false).Write(writer);
            new DigestState(FirstDigest, 4096, 3).Write(writer);
            new DigestState(SecondDigest, 0, 0).Write(writer);
        }),
        ["inventory-request"] = Build(Verb.Inventory, FrameFlags.None, NativeStatus.Ok, writer => new InventoryRequest(7, 1000, DigestKey, Slots()).Write(writer)),
        ["inventory-response"] = Build(Verb.Inventory, FrameFlags.Response, NativeStatus.Ok, writer =>
        {
            new InventoryResponse(8, 1).Write(writer);
            new DigestState(FirstDigest, 4096, 1).Write(writer);
        }),
        ["locate-request"] = Build(Verb.Locate, FrameFlags.None, NativeStatus.Ok, writer => LocateRequest.Write(writer, DigestKey, [FirstDigest, SecondDigest])),
        ["locate-response"] = Build(Verb.Locate, FrameFlags.Response, NativeStatus.Ok, writer =>
        {
            new LocateResponse(2, 2).Write(writer);
            writer.WriteShortBytes("node-1"u8);
            writer.WriteShortBytes("node-2"u8);
            writer.WriteByte(2);
            writer.WriteUInt16(0);
            writer.WriteUInt16(1);
            writer.WriteByte(LocateResponse.Unsure);
        }),
        ["node-report-request"] = Build(Verb.NodeReport, FrameFlags.None, NativeStatus.Ok, new NodeReportRequest(7, true).Write),
        ["node-report-response"] = Build(Verb.NodeReport, FrameFlags.Response, NativeStatus.Ok, new NodeReport
        {
            HighestToken = 7,
            State = 2,
            WasPaused = true,
            Utilisation = 0.25,
            CapacityBytes = 1 << 30,
            FreeBytes = 1 << 20,
            InBytesPerSecond = 1000,
            OutBytesPerSecond = 2000,
            Wanted = [new WantedTail("red", ChainKeys(2)[1], 2, 4096, 1.5)],
            Sessions = [new SessionName("red", "chat-2")],
        }.Write),
        ["order-give-request"] = Build(Verb.OrderGive, FrameFlags.None, NativeStatus.Ok, new OrderGiveRequest(7, 3, 2, "red", ChainKeys(2)).Write),
        ["order-give-response"] = Build(Verb.OrderGive, FrameFlags.Response, NativeStatus.Ok, new OrderAnswer(OrderVerdict.StaleToken, 9).Write),
        ["order-cancel-request"] = Build(Verb.OrderCancel, FrameFlags.None, NativeStatus.Ok, new OrderCancelRequest(7, 3).Write),
        ["order-progress-request"] = Build(Verb.OrderProgress, FrameFlags.None, NativeStatus.Ok, new OrderProgressRequest(7, [3, 4]).Write),
        ["order-progress-response"] = Build(Verb.OrderProgress, FrameFlags.Response, NativeStatus.Ok, writer => OrderProgress.WriteAll(
            writer, [new OrderProgress(3, 4, 1, 4096, "1 of 2 blocks did not come."), new OrderProgress(4, 0, 0, 0, "")])),
        ["chain-lossless-request"] = Build(
            Verb.Chain, FrameFlags.None, NativeStatus.Ok, new ChainRequest("red", ChainKeys(2)[1], 16) { KeepsLossless = true }.Write),
        ["chain-request"] = Build(Verb.Chain, FrameFlags.None, NativeStatus.Ok, new ChainRequest("red", ChainKeys(2)[1], 16).Write),
        ["chain-response"] = Build(Verb.Chain, FrameFlags.Response, NativeStatus.Ok, new ChainAnswer(ChainKeys(2), 8192).Write),
        ["hold-request"] = Build(Verb.Hold, FrameFlags.None, NativeStatus.Ok, new HoldRequest(7, TimeSpan.FromMinutes(10), "red", ChainKeys(2)).Write),
        ["hold-response"] = Build(Verb.Hold, FrameFlags.Response, NativeStatus.Ok, new HoldAnswer(OrderVerdict.Taken, 2, 7).Write),
        ["drain-request"] = Build(Verb.Drain, FrameFlags.None, NativeStatus.Ok, new DrainRequest(7, DrainAction.Begin).Write),
        ["drain-response"] = Build(Verb.Drain, FrameFlags.Response, NativeStatus.Ok, new DrainAnswer
        {
            State = DrainAnswer.Draining,
            Runs = 1,
            Since = 1_763_764_200_000,
            Blocks = 10,
            BlocksLeft = 2,
            BytesLeft = 8192,
            Message = "No other node takes blocks.",
        }.Write),
        ["leaving-request"] = Build(Verb.Leaving, FrameFlags.None, NativeStatus.Ok, new LeavingRequest(1).Write),
        ["leaving-response"] = Build(
            Verb.Leaving, FrameFlags.Response, NativeStatus.Ok, new LeavingRun("red", 12, [(ReadOnlyMemory<byte>)"plain/a"u8.ToArray(), (ReadOnlyMemory<byte>)"plain/b"u8.ToArray()]).Write),
        ["desk-request"] = Build(Verb.Desk, FrameFlags.None, NativeStatus.Ok, new DeskRequest(DeskAction.BeginDrain, 5, "node-1", "ops").Write),
        ["sequence-open-request"] = Command(new OpenSequence { RequestId = 9, Scope = Scope.Bytes, Parts = 2, Holder = "node-2", IdleLimit = TimeSpan.FromMinutes(1) }),
        ["sequence-open-lossless-request"] = Command(new OpenSequence { RequestId = 9, Scope = Scope.Bytes, Holder = "node-2", LosslessOnly = true }),
        ["sequence-append-request"] = Command(new AppendSegment
        {
            RequestId = 10,
            Epoch = Moment + 5,
            ParentHash = Hash(0),
            Blocks = 16,
            Tokens = 1024,
            Bytes = 16 << 20,
            FirstHash = Hash(1),
            LastHash = Hash(2),
        }),
        ["sequence-fork-request"] = Command(new ForkSequence { RequestId = 11, Target = "chat-2", Blocks = 100, LastHash = Hash(1), Holder = "node-2" }, "chat-1"),
        ["sequence-fork-lossless-request"] = Command(new ForkSequence { RequestId = 11, Target = "chat-2", Blocks = 100, LastHash = Hash(1), LosslessOnly = true }, "chat-1"),
        ["sequence-pin-request"] = Command(new PinSequence { RequestId = 12, Replicas = 2, Until = Moment + 86_400_000 }),
        ["sequence-park-request"] = Command(new ParkSequence { RequestId = 13, Epoch = Moment + 5, NextHolder = "node-3", ReturnAt = Moment + 3_600_000 }),
        ["sequence-resume-request"] = Command(new ResumeSequence { RequestId = 14, Holder = "node-3" }),
        ["sequence-close-request"] = Command(new CloseSequence { RequestId = 15, Epoch = Moment + 5 }),
        ["sequence-rows-request"] = Build(Verb.SequenceRows, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            SequenceRequests.WritePrefix(writer, "chat-2");
            writer.WriteUInt32(2);
            writer.WriteUInt32(100);
        }),
        ["sequence-list-request"] = Build(Verb.SequenceList, FrameFlags.None, NativeStatus.Ok, writer =>
        {
            SequenceRequests.WritePrefix(writer, "chat-1");
            writer.WriteUInt32(100);
        }),
        ["sequence-show-response"] = Build(Verb.SequenceShow, FrameFlags.Response, NativeStatus.Ok, writer =>
        {
            writer.WriteUInt32(0);
            SequenceAnswers.WriteInfo(writer, Sequence);
        }),
        ["sequence-show-lossless-response"] = Build(Verb.SequenceShow, FrameFlags.Response, NativeStatus.Ok, writer =>
            SequenceAnswers.WriteOne(writer, Sequence with { LosslessOnly = true }, isRepetition: true)),
        ["sequence-rows-response"] = Build(Verb.SequenceRows, FrameFlags.Response, NativeStatus.Ok, writer => SequenceAnswers.WriteRows(
            writer, 3, 2, [new SegmentRow(64, 16, 4096, 1024, 64 << 20, 16 << 20, new BlockHash([.. Enumerable.Repeat((byte)0xC3, 32)]), new BlockHash([.. Enumerable.Repeat((byte)0xD4, 32)]))])),
        ["sequence-list-response"] = Build(Verb.SequenceList, FrameFlags.Response, NativeStatus.Ok, writer => SequenceAnswers.WriteList(writer, [Sequence], "chat-2")),
        ["sequence-list-lossless-response"] = Build(Verb.SequenceList, FrameFlags.Response, NativeStatus.Ok, writer =>
            SequenceAnswers.WriteList(writer, [Sequence with { LosslessOnly = true }, Sequence], "")),
        ["sequence-refusal"] = Build(Verb.SequenceAppend, FrameFlags.Response, NativeStatus.SequenceRefused, writer =>
            SequenceAnswers.WriteRefusal(writer, SequenceRefusal.StaleEpoch, "epoch is 4 and 5 is in force.")),
    };

    public static SequenceInfo Sequence => new()
    {
        Name = "chat-2",
        Version = 7,
        Epoch = Moment + 5,
        State = SequenceState.Parked,
        Pin = new PinStatus(PinState.Pending, 4, 2, 1, 128, Moment + 86_400_000),
        Blocks = 130,
        Tokens = 8320,
        Bytes = 130 << 20,
        Segments = 3,
        Parts = 2,
        LastHash = Hash(1),
        CreatedAt = Moment,
        TouchedAt = Moment + 60_000,
        ExpiresAt = Moment + (30L * 86_400_000),
        IdleMilliseconds = 86_400_000,
        ReturnAt = Moment + 3_600_000,
        Forks = 2,
        Scope = Scope.Bytes,
        Holder = "node-2",
        Origin = SequenceOrigin.None with { Name = "chat-1", Segments = 2, Blocks = 100 },
    };

    private const long Moment = 1_763_764_200_000;

    private static BlockHash Hash(int index) => new([.. Enumerable.Repeat((byte)(0xA0 + index), 32)]);

    private static byte[] Command(SequenceCommand command, string name = "chat-2") =>
        Build(SequenceRequests.VerbOf(command), FrameFlags.None, NativeStatus.Ok, writer => SequenceRequests.Write(writer, name, command));

    /// <summary>Keys of the chain whose hashes are <see cref="Hashes"/>.</summary>
    private static ReadOnlyMemory<byte>[] ChainKeys(int count) => [.. Enumerable.Range(0, count).Select(index => (ReadOnlyMemory<byte>)Scope.KeyOf(Hashes(count).AsSpan(index * 32, 32)))];

    public static byte[] Hashes(int count) => [.. Enumerable.Range(0, count * 32).Select(index => (byte)(0xA0 + (index / 32)))];

    public static byte[] Build(Verb verb, FrameFlags flags, NativeStatus status, Action<FrameWriter> head, byte[]? payload = null)
    {
        var writer = new FrameWriter();
        var channel = new MemoryChannel([]);
        writer.Begin(verb, 0x1122334455667788, flags);
        head(writer);
        writer.End(status, payload?.Length ?? 0);
        writer.Flush(channel, payload);
        return channel.Sent;
    }

    /// <summary>The first slot, one in the second byte, and the last.</summary>
    private static SlotSet Slots()
    {
        var slots = new SlotSet();
        slots.Add(0);
        slots.Add(9);
        slots.Add(DigestSlots.Count - 1);
        return slots;
    }

    /// <summary>A payload of a put: the block, its table and the table's checksum.</summary>
    public static byte[] Trailed(byte[] block)
    {
        var table = new uint[ChecksumTable.EntryCount(block.Length)];
        ChecksumTable.Compute(block, table);
        return [.. block, .. table.SelectMany(BitConverter.GetBytes), .. BitConverter.GetBytes(ChecksumTable.Seal(table))];
    }
}
