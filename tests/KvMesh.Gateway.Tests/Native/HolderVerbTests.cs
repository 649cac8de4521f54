using KvMesh.Engine.Blocks;
using KvMesh.Engine.Events;
using KvMesh.Engine.Telemetry;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Native;

/// <summary>Blocks in the memory of a worker, as bytes of a session.</summary>
public sealed class HolderVerbTests : IDisposable
{
    private const int BlockBytes = 100_000;

    private readonly NativeSessionFixture _node = new(configure: options =>
    {
        options.FarTiers.ShortestDeadline = options.FarTiers.LongestDeadline = Eventually.Patience;
        options.FarTiers.MaxBlocksPerHolder = 4;
        options.FarTiers.MaxHolders = 1;
    });

    private readonly byte[] _payload = TestBytes.Payload(3, BlockBytes);

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task A_reader_gets_what_the_worker_hands_over()
    {
        var holding = Announce(1).Holding;
        var reading = ReadAsync();

        var ask = AwaitAsk(holding);

        Assert.Equal((HolderAskKind.Give, false, (uint)BlockBytes), (ask.Kind, ask.IsBackground, ask.PayloadBytes));
        Assert.Equal(Key(1), ask.Key.ToArray());
        Assert.Equal(NativeStatus.Ok, HandOver(ask.Number, _payload).Status);
        Assert.Equal(_payload, await reading.Within("the block"));
        Assert.Equal(NativeStatus.Miss, HandOver(ask.Number, _payload).Status);
        var tier = Assert.Single(_node.Engine.Engine.Snapshot().FarTiers);
        Assert.Equal(("gpu", 1L, (long)BlockBytes), (tier.Name, tier.Hits, tier.HitBytes));
        Assert.True(_node.Engine.Engine.TryInspect(Tenant, Key(1), out var info));
        Assert.Equal(BlockTiers.Host | BlockTiers.Gpu, info.Tiers);
    }

    [Fact]
    public async Task Another_node_gets_what_only_the_worker_has()
    {
        var holding = Announce(1).Holding;
        var reading = Task.Factory.StartNew(
            () =>
            {
                using var read = _node.Engine.Engine.TryReadForPeer(Tenant, Key(1), out var found) ? found : throw new InvalidOperationException("A miss.");
                return read.Payload.ToArray();
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

        Assert.Equal(NativeStatus.Ok, HandOver(AwaitAsk(holding).Number, _payload).Status);

        Assert.Equal(_payload, await reading.Within("the block"));
        Assert.Equal(1, _node.Engine.Engine.Snapshot().PeerReads);
        Assert.False(_node.Engine.Engine.TryReadForPeer(Tenant, Key(2), out _));
    }

    [Fact]
    public void A_watcher_hears_of_what_workers_hold()
    {
        Announce(2);
        Assert.Equal(SealStatus.Sealed, _node.Engine.PutContent(Key(2), _payload));
        _node.Reconnect();
        var events = new BlockEvent[16];
        Eventually.HoldsBlocking(() => _node.Engine.Engine.Events.Read(0, events) == 5, "five events");

        Assert.Equal(
            [(BlockEventKind.Held, BlockTiers.Gpu), (BlockEventKind.Held, BlockTiers.Gpu), (BlockEventKind.Stored, BlockTiers.Host)],
            events.Take(3).Select(told => (told.Kind, told.Tiers)));
        Assert.Equal(
            [(BlockTiers.None, Key(1)), (BlockTiers.Host, Key(2))],
            events.Skip(3).Take(2).OrderBy(told => told.Tiers).Select(told => (told.Tiers, told.Key.ToArray())));
        Assert.All(events.Skip(3).Take(2), told => Assert.Equal((BlockEventKind.LetGo, BlockBytes), (told.Kind, told.PayloadBytes)));
        Assert.Equal(default, _node.Engine.Engine.Snapshot().Held);
    }

    [Fact]
    public async Task A_worker_that_declines_is_not_asked_again()
    {
        var holding = Announce(1).Holding;
        var reading = ReadAsync();

        Assert.Equal(NativeStatus.Ok, _node.Ask(Verb.HolderDecline, writer => writer.WriteUInt64(AwaitAsk(holding).Number)).Status);

        Assert.Null(await reading.Within("the miss"));
        Assert.Equal(0, _node.Engine.Engine.HeldBlocks);
        Assert.Equal(NativeStatus.Miss, _node.Ask(Verb.HolderDecline, writer => writer.WriteUInt64(1)).Status);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Other_bytes_than_were_announced_are_a_miss(bool isOtherLength)
    {
        var holding = Announce(1).Holding;
        var reading = ReadAsync();
        var ask = AwaitAsk(holding);
        var trailed = NativeSessionFixture.Trailed(isOtherLength ? _payload[..^1] : _payload);
        trailed[5] ^= isOtherLength ? (byte)0 : (byte)1;

        var status = _node.Ask(Verb.Put, HandOverHead(ask.Number, BlockBytes - (isOtherLength ? 1 : 0), 1), trailed).Status;

        Assert.Equal(NativeStatus.Mismatch, status);
        Assert.Null(await reading.Within("the miss"));
        Assert.Equal(0, _node.Engine.Engine.HeldBlocks);
        Assert.False(_node.Engine.Engine.TryInspect(Tenant, Key(1), out _));
    }

    [Fact]
    public async Task The_end_of_the_connection_is_a_miss_for_who_waits()
    {
        var holding = Announce(1).Holding;
        var reading = ReadAsync();
        AwaitAsk(holding);

        _node.Reconnect();

        Assert.Null(await reading.Within("the miss"));
        Assert.Equal(0, _node.Engine.Engine.HeldBlocks);
        Assert.Equal(NativeStatus.Miss, AskAsks(holding).Status);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_removed_while_it_is_asked_for_does_not_arrive(bool isPurge)
    {
        var announced = Announce(1);
        var reading = ReadAsync();
        var ask = AwaitAsk(announced.Holding);

        Remove(isPurge);

        Assert.Null(await reading.Within("the miss"));
        Assert.Equal(NativeStatus.Miss, HandOver(ask.Number, _payload).Status);
        Assert.False(_node.Engine.Engine.TryInspect(Tenant, Key(1), out _));
        Assert.Equal(isPurge ? HolderAskKind.ForgetScope : HolderAskKind.Forget, AwaitAsk(announced.Holding).Kind);
        Assert.Equal(NativeStatus.Behind, _node.Ask(Verb.HolderAnnounce, AnnounceHead(1, announced.Removals)).Status);
        Assert.Equal(0, _node.Engine.Engine.HeldBlocks);
        Assert.Equal(1u, Announce(1).Blocks);
    }

    [Fact]
    public async Task A_put_of_somebody_else_ends_the_wait_no_later_than_the_worker()
    {
        var holding = Announce(1).Holding;
        var reading = ReadAsync();
        var ask = AwaitAsk(holding);
        Assert.Equal(NativeStatus.Ok, _node.Ask(Verb.Put, NativeSessionFixture.Put(1, BlockBytes), NativeSessionFixture.Trailed(_payload)).Status);

        Assert.Equal(NativeStatus.AlreadyPresent, HandOver(ask.Number, _payload).Status);

        Assert.Equal(_payload, await reading.Within("the block"));
    }

    [Fact]
    public async Task Of_many_readers_one_asks()
    {
        var holding = Announce(1).Holding;
        var reading = Enumerable.Range(0, 8).Select(_ => ReadAsync()).ToArray();
        var ask = AwaitAsk(holding);

        Assert.Empty(Read(AskAsks(holding)));
        HandOver(ask.Number, _payload);

        Assert.All(await Task.WhenAll(reading).Within("the readers"), bytes => Assert.Equal(_payload, bytes));
    }

    [Fact]
    public void No_more_is_announced_than_may_be()
    {
        Assert.Equal((4u, 4u), (Announce(4).Blocks, Announce(4).MaxBlocks));
        Assert.Equal(new HeldSnapshot(1, 4, 4 * BlockBytes), _node.Engine.Engine.Snapshot().Held);

        var answer = _node.Ask(Verb.HolderAnnounce, AnnounceHead(5, 0));

        Assert.Equal(NativeStatus.LimitExceeded, answer.Status);
        Assert.Contains("MaxBlocksPerHolder", answer.Text, StringComparison.Ordinal);
        Assert.Equal(4, _node.Engine.Engine.HeldBlocks);
        Assert.Equal(NativeStatus.Ok, _node.Ask(Verb.HolderWithdraw, writer => writer.WriteChain(NativeSessionFixture.Scope.Bytes.Span, TestBytes.Hash(1, 1))).Status);
        Assert.Equal(3, _node.Engine.Engine.HeldBlocks);
    }

    [Fact]
    public void What_is_announced_exists_and_makes_a_match_longer()
    {
        Announce(3);

        var match = _node.Ask(Verb.Match, writer =>
        {
            writer.WriteUInt32(0);
            writer.WriteChain(NativeSessionFixture.Scope.Bytes.Span, Hashes(4));
        });

        Assert.Equal((3u, 3u), (BitConverter.ToUInt32(match.Head), BitConverter.ToUInt32(match.Head, 4)));
    }

    [Fact]
    public void Nonsense_is_refused_by_name()
    {
        var wrongLength = _node.Ask(Verb.HolderAnnounce, writer =>
        {
            HolderAnnounceRequest.Write(writer, 0, [0]);
            writer.WriteChain(NativeSessionFixture.Scope.Bytes.Span, Hashes(1));
        });
        var opaque = _node.Ask(Verb.HolderAnnounce, writer =>
        {
            HolderAnnounceRequest.Write(writer, 0, [1]);
            writer.WriteOpaque("a key"u8);
        });

        Assert.Equal((NativeStatus.BadRequest, NativeStatus.BadRequest), (wrongLength.Status, opaque.Status));
        Assert.Contains("block 0 has 0 bytes", wrongLength.Text, StringComparison.Ordinal);
        Assert.Contains("form Opaque", opaque.Text, StringComparison.Ordinal);
        Assert.Equal(NativeStatus.BadRequest, _node.Ask(Verb.HolderAsks, writer => new HolderAsksRequest(1, 0, 0).WriteTo(writer)).Status);
        Assert.Equal(NativeStatus.Miss, _node.Ask(Verb.HolderAsks, writer => new HolderAsksRequest(1, 1, 0).WriteTo(writer)).Status);
    }

    private Tenant Tenant => _node.Engine.Tenant;

    private static byte[] Hashes(int count) => [.. Enumerable.Range(1, count).SelectMany(index => TestBytes.Hash(1, index))];

    private static byte[] Key(int index) => NativeSessionFixture.Scope.KeyOf(TestBytes.Hash(1, index));

    private static Action<FrameWriter> AnnounceHead(int count, ulong removals) => writer =>
    {
        HolderAnnounceRequest.Write(writer, removals, [.. Enumerable.Repeat(BlockBytes, count)]);
        writer.WriteChain(NativeSessionFixture.Scope.Bytes.Span, Hashes(count));
    };

    private static Action<FrameWriter> HandOverHead(ulong ask, int blockBytes, int index) => writer =>
    {
        new PutRequest { BlockBytes = (uint)blockBytes, Ask = ask }.Write(writer);
        writer.WriteChain(NativeSessionFixture.Scope.Bytes.Span, TestBytes.Hash(1, index));
    };

    private HolderAnnounceResponse Announce(int count)
    {
        var answer = _node.Ask(Verb.HolderAnnounce, AnnounceHead(count, 0));
        Assert.Equal(NativeStatus.Ok, answer.Status);
        Assert.True(HolderAnnounceResponse.TryRead(answer.Head, out var response));
        return response;
    }

    private Answer AskAsks(ulong holding) => _node.Ask(Verb.HolderAsks, writer => new HolderAsksRequest(holding, 1, 20).WriteTo(writer));

    private HolderAsk AwaitAsk(ulong holding)
    {
        IReadOnlyList<HolderAsk> asks = [];
        Eventually.HoldsBlocking(() => (asks = Read(AskAsks(holding))).Count > 0, "an ask");
        return asks[0];
    }

    private static IReadOnlyList<HolderAsk> Read(Answer answer)
    {
        Assert.Equal(NativeStatus.Ok, answer.Status);
        Assert.True(HolderAsk.TryReadAll(answer.Head, out _, out var asks));
        return asks;
    }

    private Answer HandOver(ulong ask, byte[] payload) => _node.Ask(Verb.Put, HandOverHead(ask, payload.Length, 1), NativeSessionFixture.Trailed(payload));

    private void Remove(bool isPurge)
    {
        if (isPurge)
        {
            _node.Engine.Engine.Purge(Tenant, NativeSessionFixture.Scope.Model, null);
        }
        else
        {
            _node.Engine.Engine.Remove(Tenant, Key(1));
        }
    }

    /// <summary>Reads the block as a door does, beside the session. Null: a miss.</summary>
    private Task<byte[]?> ReadAsync() => Task.Factory.StartNew(
        () =>
        {
            if (!_node.Engine.Engine.TryReadAnywhere(Tenant, Key(1), out var read))
            {
                return null;
            }

            using (read)
            {
                return read.Payload.ToArray();
            }
        },
        CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}
