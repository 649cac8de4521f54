using KvMesh.Client;
using KvMesh.Client.Tests;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;
using KvMesh.Worker.Devices.Host;
using KvMesh.Worker.Devices.Pages;
using KvMesh.Worker.Mesh;
using KvMesh.Worker.Roles;
using KvMesh.Worker.Tests.Serving;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Worker.Tests.Roles;

/// <summary>The pages of one worker, a node, and a client that reads them through it.</summary>
public sealed class PageHolderTests : IDisposable
{
    private const int MaxAnnounced = 8;

    private readonly SeededRequests _requests = new();
    private readonly HostDevice _device = new(1 << 24);
    private readonly MeshCounters _counters = new();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_page_is_handed_over_as_the_part_that_is_asked_for(int partCount)
    {
        await using var held = await HeldAsync(capacity: 4, partCount);
        var chain = Chain(1, 3);
        Keep(held.Pool, chain);
        await held.AnnouncedAsync(3);

        for (var part = 0; part < partCount; part++)
        {
            foreach (var hash in chain)
            {
                var destination = new byte[held.Parts.PartBytes];
                var result = await held.Reader.GetAsync(held.Parts.Scope(part), hash.ToArray(), destination, default).AsTask().Within("a block");
                Assert.Equal((GetStatus.Hit, Convert.ToHexString(PartOf(held.Parts, hash, part))), (result.Status, Convert.ToHexString(destination)));
            }
        }

        await Eventually.Holds(() => held.Holder.HandedOver == 3 * partCount, "the count of what was handed over");
    }

    /// <summary>Invariant: what a reader gets under a hash is that block, whatever the page holds by then.</summary>
    [Fact]
    public async Task A_page_that_is_reused_while_it_is_asked_for_gives_its_own_block_or_none()
    {
        const int Rounds = 400;
        await using var held = await HeldAsync(capacity: 4, partCount: 1);
        var kept = new BlockHash[Rounds];
        var done = 0;
        var writing = Task.Run(async () =>
        {
            for (var round = 0; round < Rounds; round++)
            {
                kept[round] = Chain(round, 1)[0];
                Keep(held.Pool, [kept[round]]);
                Volatile.Write(ref done, round + 1);
                await Task.Yield();
            }
        });

        var hits = 0;
        var random = new Random(5);
        while (!writing.IsCompleted || hits == 0)
        {
            var newest = Volatile.Read(ref done);
            if (newest > 0)
            {
                hits += await ReadsOrMissesAsync(held, kept[newest - 1 - random.Next(Math.Min(newest, 6))]) ? 1 : 0;
            }
        }

        await writing.Within("the writer");
        Assert.Null(held.LastFailure);
    }

    [Fact]
    public async Task A_block_that_has_left_is_announced_no_longer()
    {
        await using var held = await HeldAsync(capacity: 4, partCount: 2);
        Keep(held.Pool, Chain(1, 4));
        await held.AnnouncedAsync(4);

        using var run = held.Pool.TryTake([], 3)!;

        await held.AnnouncedAsync(1);
        Assert.False(await ReadsOrMissesAsync(held, Chain(1, 4)[3]));
    }

    [Fact]
    public async Task A_block_that_is_removed_in_the_mesh_is_let_go_with_all_its_parts()
    {
        await using var held = await HeldAsync(capacity: 4, partCount: 2);
        var chain = Chain(1, 3);
        Keep(held.Pool, chain);
        await held.AnnouncedAsync(3);

        Assert.True(await held.Reader.RemoveAsync(held.Parts.Scope(1), chain[2].ToArray(), default));

        await held.AnnouncedAsync(2);
        Assert.Equal((2, 1), (held.Pool.Match(chain), (int)_counters.Figures.ForgottenBlocks));
        held.Node.Engine.Engine.Purge(held.Node.Engine.Tenant, "tiny", null);
        await Eventually.Holds(() => held.Pool.Match(chain) == 0, "the pages to be let go");
        await held.AnnouncedAsync(0);
    }

    [Fact]
    public async Task What_the_node_has_no_room_for_is_announced_when_other_blocks_leave()
    {
        await using var held = await HeldAsync(capacity: MaxAnnounced + 4, partCount: 1);
        for (var chain = 0; chain < MaxAnnounced + 4; chain++)
        {
            Keep(held.Pool, Chain(chain, 1));
        }

        await held.AnnouncedAsync(MaxAnnounced);
        await Eventually.Holds(() => _counters.Figures.AnnouncedBlocks == MaxAnnounced, "the announcements");

        // The first ones leave.
        using var run = held.Pool.TryTake([], 4)!;

        await Eventually.Holds(() => _counters.Figures.AnnouncedBlocks == MaxAnnounced + 4, "the others to be announced");
        await held.AnnouncedAsync(MaxAnnounced);
        Assert.True(await ReadsOrMissesAsync(held, Chain(MaxAnnounced + 3, 1)[0]));
    }

    [Fact]
    public async Task What_is_kept_and_leaves_while_the_node_is_away_is_told_when_it_is_back()
    {
        await using var held = await HeldAsync(capacity: 4, partCount: 1);
        Keep(held.Pool, Chain(1, 2));
        await held.AnnouncedAsync(2);
        await held.Node.CutOffAsync();
        await held.AnnouncedAsync(0);

        for (var chain = 2; chain < 40; chain++)
        {
            Keep(held.Pool, Chain(chain, 2));
        }

        held.Node.Restart();
        await held.AnnouncedAsync(4);
        Assert.True(await ReadsOrMissesAsync(held, Chain(39, 2)[1]));
        Assert.False(await ReadsOrMissesAsync(held, Chain(1, 2)[0]));
    }

    public void Dispose()
    {
        _device.Dispose();
        _requests.Dispose();
    }

    private static BlockHash[] Chain(int seed, int length) => [.. Enumerable.Range(1, length).Select(index => new BlockHash(TestBytes.Hash(seed + 1, index)))];

    /// <summary>A block's bytes are a matter of its hash.</summary>
    private static byte[] BytesOf(in BlockHash hash, int count) => TestBytes.Payload(hash.GetHashCode(), count);

    private byte[] PartOf(BlockParts parts, in BlockHash hash, int part)
    {
        var (block, bytes) = (BytesOf(hash, _requests.Format.BlockBytes), new byte[parts.PartBytes]);
        for (var layer = 0; layer < parts.Layers; layer++)
        {
            parts.CopyOut(block, part, layer, bytes.AsSpan(layer * parts.SectionBytes));
        }

        return bytes;
    }

    private static void Keep(DevicePagePool pool, BlockHash[] chain)
    {
        using var run = pool.TryTake(chain, chain.Length)!;
        for (var index = run.Shared; index < chain.Length; index++)
        {
            BytesOf(chain[index], pool.PageBytes).CopyTo(run.Block(index));
            run.KeepBehind(index, chain[index], index == 0 ? BlockHash.Root : chain[index - 1]);
        }
    }

    /// <summary>Whether it is there; what is there is right.</summary>
    private async Task<bool> ReadsOrMissesAsync(Held held, BlockHash hash)
    {
        var destination = new byte[held.Parts.PartBytes];
        var result = await held.Reader.GetAsync(held.Parts.Scope(0), hash.ToArray(), destination, default).AsTask().Within("an answer");
        Assert.True(result.IsHit ? destination.AsSpan().SequenceEqual(PartOf(held.Parts, hash, 0)) : result.Status == GetStatus.Miss, $"{result}");
        return result.IsHit;
    }

    private async Task<Held> HeldAsync(int capacity, int partCount)
    {
        var node = new NodeFixture(options =>
        {
            options.FarTiers.ShortestDeadline = options.FarTiers.LongestDeadline = Eventually.Patience;
            options.FarTiers.MaxBlocksPerHolder = MaxAnnounced;
        });
        var parts = new BlockParts(_requests.Format, "tiny", "1", partCount);
        var pool = new DevicePagePool(_device, _requests.Format.BlockBytes, capacity, TimeProvider.System);
        var link = new MeshLink(new ClientOptions { Endpoint = node.Address(ClientTransport.Tcp), RequestTimeout = Eventually.Patience, ConnectTimeout = Eventually.Patience });
        var holder = new PageHolder(pool, parts, link, 2, _counters, NullLogger<PageHolder>.Instance);
        return new Held(node, await node.ConnectAsync(), pool, parts, link, holder);
    }

    private sealed record Held(NodeFixture Node, KvMeshClient Reader, DevicePagePool Pool, BlockParts Parts, MeshLink Link, PageHolder Holder) : IAsyncDisposable
    {
        public Exception? LastFailure => Holder.LastFailure;

        public Task AnnouncedAsync(int blocks) =>
            Eventually.Holds(() => Node.Engine.Engine.HeldBlocks == blocks * Parts.Count, $"{blocks} blocks to be announced");

        public async ValueTask DisposeAsync()
        {
            await Holder.DisposeAsync();
            await Link.DisposeAsync();
            Pool.Dispose();
            await Node.DisposeAsync();
        }
    }
}
