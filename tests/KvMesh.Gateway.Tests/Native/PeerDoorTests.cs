using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using System.Text;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Removals;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers.Holders;
using KvMesh.Gateway.Native.Peers;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Gateway.Tests.Native;

/// <summary>What a node does for the directories of its cluster, asked frame by frame.</summary>
public sealed class PeerDoorTests : IDisposable
{
    private static readonly DigestSecret Secret = new(17, 18);
    private static readonly ulong KeyId = DigestKeyId.Of(Secret);

    private readonly SimulatedClock _clock = new();
    private readonly NativeSessionFixture _node = new();
    private readonly BlockMap _map = new(new BlockMapOptions());
    private readonly Meter _meter = new("test");
    private readonly BlockLocator _locator;
    private readonly PeerDoor _door;

    public PeerDoorTests()
    {
        _locator = new BlockLocator(_map, new NoDirectories(), new MapMetrics(_map, _meter));
        _locator.Role = new DirectoryRole(SlotAssignment.Empty, Secret, SlotSet.All(), 0);
        _door = new PeerDoor(_node.Engine.Engine, _locator, _clock);
        _node.Serve(_door);
    }

    [Fact]
    public void The_first_question_is_told_to_begin_with_a_list()
    {
        var (response, states) = Feed(0, SlotSet.All());
        Assert.True(response.HasGap);
        Assert.Empty(states);
        Assert.False(Feed(response.NextAfter, SlotSet.All()).Response.HasGap);
    }

    [Fact]
    public async Task Content_that_comes_and_goes_is_told_and_plain_values_are_not()
    {
        var after = Feed(0, SlotSet.All()).Response.NextAfter;
        Put("a");
        Put("b");
        _node.Engine.Put("plain"u8, new byte[10], BlockTraits.Opaque);
        _node.Engine.Engine.Remove(_node.Engine.Tenant, Encoding.ASCII.GetBytes("a"));
        _node.Engine.Engine.Remove(_node.Engine.Tenant, "plain"u8);

        var present = await FollowAsync(after, SlotSet.All(), states => states.Count >= 3);
        Assert.Equal([DigestOf("b")], present);
    }

    [Fact]
    public async Task Content_that_a_plain_value_replaced_is_told_to_be_gone()
    {
        var after = Feed(0, SlotSet.All()).Response.NextAfter;
        Put("a");
        _node.Engine.Put("a"u8, new byte[10], BlockTraits.Opaque);
        Assert.Empty(await FollowAsync(after, SlotSet.All(), states => states.Any(state => !state.IsPresent)));
    }

    [Fact]
    public async Task Each_slot_is_told_to_who_asked_for_it_in_order_and_in_pieces()
    {
        var even = new SlotSet();
        for (var slot = 0; slot < DigestSlots.Count; slot += 2)
        {
            even.Add(slot);
        }

        var after = Feed(0, SlotSet.All()).Response.NextAfter;
        for (var block = 0; block < 2_000; block++)
        {
            Put($"block-{block}");
        }

        var evens = await FollowAsync(after, even, states => states.Count >= ExpectedIn(even));
        var odds = await FollowAsync(after, SlotSet.All().Except(even), states => states.Count >= 2_000 - ExpectedIn(even));
        Assert.All(evens, digest => Assert.True(even.Contains(DigestSlots.Of(digest))));
        Assert.Equal(2_000, evens.Concat(odds).Distinct().Count());

        static int ExpectedIn(SlotSet slots) => Enumerable.Range(0, 2_000).Count(block => slots.Contains(DigestSlots.Of(DigestOf($"block-{block}"))));
    }

    [Fact]
    public async Task Who_stayed_away_too_long_finds_a_gap()
    {
        var after = Feed(0, SlotSet.All()).Response.NextAfter;
        for (var round = 0; round < FeedLog.Capacity; round++)
        {
            Put("a");
            _node.Engine.Engine.Remove(_node.Engine.Tenant, "a"u8);
        }

        await Eventually.Holds(() => Feed(after, SlotSet.All()).Response.HasGap, "the gap behind 131,072 changes");
    }

    [Fact]
    public void The_list_holds_all_content_once_and_no_plain_value()
    {
        for (var block = 0; block < 5_000; block++)
        {
            Put($"block-{block}");
        }

        _node.Engine.Put("plain"u8, new byte[10], BlockTraits.Opaque);
        var listed = List(SlotSet.All(), out var pages);
        Assert.InRange(pages, 2, 50);
        Assert.Equal(5_000, listed.Count);
        Assert.Equal(5_000, listed.Select(state => state.Digest).Distinct().Count());
        Assert.All(listed, state => Assert.Equal((10u, (byte)BlockTiers.Host), (state.PayloadBytes, state.Tiers)));

        var one = new SlotSet();
        one.Add(DigestSlots.Of(DigestOf("block-7")));
        Assert.Contains(DigestOf("block-7"), List(one, out _).Select(state => state.Digest));
    }

    [Fact]
    public void A_directory_names_holders_and_says_where_it_is_not_sure()
    {
        var record = new NodeRecord { Id = NodeId.Parse("far"), NativeAddress = "127.0.0.1:1" };
        _map.Set(DigestOf("a"), _map.Join(record), 1, 10);
        _locator.Complete = SlotSet.All();
        AssertLocated("a", "far", isUnsure: false);
        AssertLocated("b", "", isUnsure: false);

        _locator.Complete = new SlotSet();
        AssertLocated("a", "far", isUnsure: true);
        AssertLocated("b", "", isUnsure: true);
    }

    [Fact]
    public async Task A_block_that_another_node_asks_for_in_vain_is_told_to_be_gone_to_every_directory()
    {
        var after = Feed(0, SlotSet.All()).Response.NextAfter;
        Put("here");
        Assert.Equal(NativeStatus.Ok, GetForPeer("here", default).Status);
        Assert.Equal(NativeStatus.Miss, GetForPeer("gone", default).Status);

        var told = new List<DigestState>();
        await FollowAsync(after, SlotSet.All(), states =>
        {
            told = [.. states];
            return states.Exists(state => state.Digest == DigestOf("gone")) && states.Exists(state => state.Digest == DigestOf("here"));
        });
        Assert.All(told.Where(state => state.Digest == DigestOf("gone")), state => Assert.False(state.IsPresent));
        Assert.All(told.Where(state => state.Digest == DigestOf("here")), state => Assert.True(state.IsPresent));
    }

    [Fact]
    public void Questions_for_what_is_not_here_fill_no_feed_beyond_a_bound()
    {
        var after = Feed(0, SlotSet.All()).Response.NextAfter;
        for (var block = 0; block < PeerDoor.CorrectionsPerSecond + 50; block++)
        {
            GetForPeer($"gone-{block}", default);
        }

        Assert.Equal(PeerDoor.CorrectionsPerSecond, CountFrom(ref after));
        _clock.Advance(TimeSpan.FromMilliseconds(10));
        for (var block = 0; block < 50; block++)
        {
            GetForPeer($"gone-{block}", default);
        }

        Assert.Equal(PeerDoor.CorrectionsPerSecond / 100, CountFrom(ref after));
    }

    [Fact]
    public async Task A_node_that_has_not_carried_out_what_the_other_knows_gives_nothing_and_is_not_wrong()
    {
        Put("here");
        Assert.Equal(NativeStatus.Behind, GetForPeer("here", new PullGuard(0, 1)).Status);

        await using var log = new EmbeddedRemovalLog(TimeProvider.System);
        await using var removals = new Removals(new NoViews(), log, new NoTarget(), new NoTarget(), Eventually.Patience, TimeProvider.System, NullLoggerFactory.Instance);
        _door.Removals = removals;
        var number = await log.PurgeAsync(new PurgeScope(Tenant.DefaultName, "other", null), "elsewhere", 0, CancellationToken.None);
        Assert.Equal(NativeStatus.Behind, GetForPeer("here", new PullGuard(number, 0)).Status);
        Assert.Equal(NativeStatus.Behind, GetForPeer("here", new PullGuard(0, number)).Status);

        await removals.CatchUpAsync(Eventually.Patience, CancellationToken.None);
        Assert.Equal(NativeStatus.Ok, GetForPeer("here", new PullGuard(number, number)).Status);
        Assert.Equal(NativeStatus.Behind, GetForPeer("here", new PullGuard(number + 1, number)).Status);
        Assert.Equal(NativeStatus.BadRequest, _node.Ask(Verb.Get, writer => Write(writer, GetFlags.Guarded, default, "here")).Status);
    }

    [Fact]
    public void Another_digest_key_and_heads_without_sense_are_refused()
    {
        var all = SlotSet.All();
        Assert.Equal(NativeStatus.Unavailable, _node.Ask(Verb.Watch, new FeedRequest(0, 10, KeyId + 1, all).Write).Status);
        Assert.Equal(NativeStatus.Unavailable, _node.Ask(Verb.Inventory, new InventoryRequest(0, 10, KeyId + 1, all).Write).Status);
        Assert.Equal(NativeStatus.Unavailable, _node.Ask(Verb.Locate, writer => LocateRequest.Write(writer, KeyId + 1, [default])).Status);
        Assert.Equal(NativeStatus.BadRequest, _node.Ask(Verb.Watch, writer => writer.WriteBytes(new byte[17])).Status);
        Assert.Equal(NativeStatus.BadRequest, _node.Ask(Verb.Inventory, writer => writer.WriteBytes(new byte[17])).Status);
        Assert.Equal(NativeStatus.BadRequest, _node.Ask(Verb.Inventory, new InventoryRequest(1L << 60, 10, KeyId, all).Write).Status);
        Assert.Equal(NativeStatus.BadRequest, _node.Ask(Verb.Locate, writer => LocateRequest.Write(writer, KeyId, [])).Status);
        Assert.Equal(NativeStatus.BadRequest, _node.Ask(Verb.Locate, writer => writer.WriteBytes(new byte[20])).Status);

        _node.Serve(null);
        Assert.Equal(NativeStatus.Unavailable, _node.Ask(Verb.Watch, new FeedRequest(0, 10, KeyId, all).Write).Status);
    }

    public void Dispose()
    {
        _door.Dispose();
        _node.Dispose();
        _map.Dispose();
        _meter.Dispose();
    }

    private static KeyDigest DigestOf(string key) => KeyDigest.Compute(Secret, TenantNumbers.Of(Tenant.DefaultName), Encoding.ASCII.GetBytes(key));

    private void Put(string key) => Assert.Equal(SealStatus.Sealed, _node.Engine.PutContent(Encoding.ASCII.GetBytes(key), new byte[10]));

    private (WatchResponse Response, List<DigestState> States) Feed(long after, SlotSet slots, bool wantsHeld = false)
    {
        var answer = _node.Ask(Verb.Watch, new FeedRequest(after, 512, KeyId, slots, wantsHeld).Write);
        Assert.Equal(NativeStatus.Ok, answer.Status);
        var reader = new HeadReader(answer.Head);
        var response = WatchResponse.Read(ref reader);
        var states = new List<DigestState>();
        for (var index = 0; index < response.Count; index++)
        {
            states.Add(DigestState.Read(ref reader));
        }

        Assert.True(reader.IsComplete);
        return (response, states);
    }

    /// <summary>Reads the feed until enough was told. Returns what is there after the last word about each block.</summary>
    private async Task<List<KeyDigest>> FollowAsync(long after, SlotSet slots, Func<List<DigestState>, bool> isEnough)
    {
        var told = new List<DigestState>();
        await Eventually.Holds(
            () =>
            {
                var (response, states) = Feed(after, slots);
                Assert.False(response.HasGap);
                told.AddRange(states);
                after = response.NextAfter;
                return isEnough(told);
            },
            "the changes of the node");
        return [.. told.GroupBy(state => state.Digest).Where(group => group.Last().IsPresent).Select(group => group.Key)];
    }

    private List<DigestState> List(SlotSet slots, out int pages, bool wantsHeld = false)
    {
        var listed = new List<DigestState>();
        long cursor = 0;
        pages = 0;
        do
        {
            var answer = _node.Ask(Verb.Inventory, new InventoryRequest(cursor, 1000, KeyId, slots, wantsHeld).Write);
            Assert.Equal(NativeStatus.Ok, answer.Status);
            var reader = new HeadReader(answer.Head);
            var page = InventoryResponse.Read(ref reader);
            for (var index = 0; index < page.Count; index++)
            {
                listed.Add(DigestState.Read(ref reader));
            }

            Assert.True(reader.IsComplete);
            cursor = page.NextCursor;
            pages++;
        }
        while (cursor != 0);
        return listed;
    }

    [Fact]
    public async Task What_a_worker_holds_is_told_to_who_asks_for_it_and_to_no_node_of_before()
    {
        var (now, before) = (Feed(0, SlotSet.All(), wantsHeld: true).Response.NextAfter, Feed(0, SlotSet.All()).Response.NextAfter);
        using var holding = Announce(3);
        await Eventually.Holds(() => Feed(now, SlotSet.All(), wantsHeld: true).Response.Count == 3, "three changes");
        var held = Feed(now, SlotSet.All(), wantsHeld: true);
        Assert.All(held.States, state => Assert.Equal((100u, DigestState.HeldTier), (state.PayloadBytes, state.Tiers)));
        Assert.All(Feed(before, SlotSet.All()).States, state => Assert.False(state.IsPresent));
        Assert.Equal(3, List(SlotSet.All(), out _, wantsHeld: true).Count);
        Assert.Empty(List(SlotSet.All(), out _));

        holding.Dispose();
        await Eventually.Holds(() => Feed(held.Response.NextAfter, SlotSet.All(), wantsHeld: true).Response.Count == 3, "the end of them");
        Assert.All(Feed(held.Response.NextAfter, SlotSet.All(), wantsHeld: true).States, state => Assert.False(state.IsPresent));
        Assert.Empty(List(SlotSet.All(), out _, wantsHeld: true));
    }

    [Fact]
    public void A_block_that_the_node_has_too_is_listed_as_its_own()
    {
        Assert.Equal(SealStatus.Sealed, _node.Engine.PutContent(NativeSessionFixture.Scope.KeyOf(TestBytes.Hash(1, 0)), new byte[100]));
        using var holding = Announce(3000);
        var listed = List(SlotSet.All(), out var pages, wantsHeld: true);
        Assert.InRange(pages, 4, 50);
        Assert.Equal(3000, listed.Select(state => state.Digest).Distinct().Count());
        Assert.Equal(2999, listed.Count(state => state.Tiers == DigestState.HeldTier));
        Assert.All(List(SlotSet.All(), out _), state => Assert.Equal((byte)BlockTiers.Host, state.Tiers));
        Assert.Equal(NativeStatus.BadRequest, _node.Ask(Verb.Inventory, new InventoryRequest(1L << 62, 10, KeyId, SlotSet.All()).Write).Status);
    }

    private Holding Announce(int blocks)
    {
        var holding = _node.Engine.Engine.OpenHolding(_node.Engine.Tenant)!;
        var hashes = Enumerable.Range(0, blocks).SelectMany(block => TestBytes.Hash(1, block)).ToArray();
        var lengths = Enumerable.Repeat(100u, blocks).ToArray();
        Assert.Equal(AnnounceStatus.Announced, holding.Announce(new KeyRun(NativeSessionFixture.Scope.Bytes.Span, hashes), lengths, "model", "1", 0, out _));
        return holding;
    }

    [Fact]
    public void A_directory_names_all_holders_when_it_is_asked_for_them()
    {
        for (var node = 0; node < 40; node++)
        {
            _map.Set(DigestOf("a"), _map.Join(new NodeRecord { Id = NodeId.Parse($"far-{node}"), NativeAddress = "127.0.0.1:1" }), 1, 10);
        }

        Assert.Equal(BlockHolders.Capacity, CountLocated(asksForAll: false));
        Assert.Equal(LocateRequest.MaxNamed, CountLocated(asksForAll: true));
        Assert.Equal(
            NativeStatus.BadRequest,
            _node.Ask(Verb.Locate, writer => LocateRequest.Write(writer, KeyId, new KeyDigest[LocateRequest.MaxBlocksOfAll + 1], asksForAll: true)).Status);
    }

    /// <summary>Holders of the second of two blocks; nobody has the first.</summary>
    private int CountLocated(bool asksForAll)
    {
        var answer = _node.Ask(Verb.Locate, writer => LocateRequest.Write(writer, KeyId, [DigestOf("b"), DigestOf("a")], asksForAll));
        Assert.Equal(NativeStatus.Ok, answer.Status);
        var reader = new HeadReader(answer.Head);
        for (var names = LocateResponse.Read(ref reader).NodeCount; names > 0; names--)
        {
            reader.ReadShortBytes();
        }

        Assert.Equal(0, reader.ReadByte() & ~LocateResponse.Unsure);
        return reader.ReadByte() & ~LocateResponse.Unsure;
    }

    private void AssertLocated(string key, string node, bool isUnsure)
    {
        var answer = _node.Ask(Verb.Locate, writer => LocateRequest.Write(writer, KeyId, [DigestOf(key)]));
        Assert.Equal(NativeStatus.Ok, answer.Status);
        var reader = new HeadReader(answer.Head);
        var response = LocateResponse.Read(ref reader);
        Assert.Equal(1u, response.BlockCount);
        var nodes = new string[response.NodeCount];
        for (var place = 0; place < nodes.Length; place++)
        {
            nodes[place] = Encoding.UTF8.GetString(reader.ReadShortBytes());
        }

        var count = reader.ReadByte();
        Assert.Equal(node, string.Concat(nodes));
        Assert.Equal(nodes.Length, count & ~LocateResponse.Unsure);
        Assert.Equal(isUnsure, (count & LocateResponse.Unsure) != 0);
    }

    private Answer GetForPeer(string key, PullGuard guard) =>
        _node.Ask(Verb.Get, writer => Write(writer, guard.IsNeeded ? GetFlags.ForPeer | GetFlags.Guarded : GetFlags.ForPeer, guard, key));

    private static void Write(FrameWriter writer, GetFlags flags, PullGuard guard, string key)
    {
        new GetRequest(GetMode.Range, 1 << 16, 0) { Flags = flags, Purges = (ulong)guard.Purges, Removals = (ulong)guard.Removals }.Write(writer);
        writer.WriteOpaque(Encoding.ASCII.GetBytes(key));
    }

    private int CountFrom(ref long after)
    {
        var count = 0;
        while (Feed(after, SlotSet.All()) is var (response, states) && states.Count > 0)
        {
            Assert.False(response.HasGap);
            count += states.Count;
            after = response.NextAfter;
        }

        return count;
    }

    private sealed class NoTarget : IRemovalTarget, IRemovalMemory
    {
        public void Drop(string tenant, ReadOnlySpan<byte> key)
        {
        }

        public void Purge(PurgeScope scope)
        {
        }

        public void DropEverything()
        {
        }

        public RemovalState? Load() => null;

        public void Save(RemovalState state)
        {
        }
    }

    private sealed class NoViews : IClusterViews
    {
        public NodeId Self { get; } = NodeId.Parse("self");

        public ClusterView Current => ClusterView.Empty;

        public async IAsyncEnumerable<ClusterView> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await Task.CompletedTask;
            yield return Current;
        }
    }

    private sealed class NoDirectories : IDirectoryClient
    {
        public bool Locate(SlotAssignment assignment, in DigestSecret secret, ReadOnlySpan<KeyDigest> digests, Span<BlockHolders> holders, BlockMap map, TimeSpan limit) => false;

        public bool LocateAll(SlotAssignment assignment, in DigestSecret secret, ReadOnlySpan<KeyDigest> digests, HolderLists holders, BlockMap map, TimeSpan limit) => false;
    }
}
