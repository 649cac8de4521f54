using System.Security.Cryptography;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;
using KvMesh.Worker.Devices.Host;
using KvMesh.Worker.Devices.Pages;

namespace KvMesh.Worker.Tests.Devices;

public sealed class DevicePagePoolTests : IDisposable
{
    private const int PageBytes = 256;

    private readonly HostDevice _device = new(1 << 20);
    private readonly List<BlockHash> _left = [];

    [Fact]
    public void Gives_all_pages_that_are_asked_for_or_none()
    {
        using var pool = Pool(5);
        using var one = pool.TryTake([], 3)!;

        Assert.Equal((3, 0, 2), (one.Count, one.Shared, pool.FreePages));
        Assert.Null(pool.TryTake([], 3));
        Assert.Equal((2, 1L), (pool.FreePages, pool.Figures.Refused));
        using var other = pool.TryTake([], 2)!;
        Assert.Equal(0, pool.FreePages);
        Assert.Equal(5, one.Pages.ToArray().Union(other.Pages.ToArray()).Count());
    }

    [Fact]
    public void Sequences_with_the_same_prefix_share_its_pages()
    {
        using var pool = Pool(8);
        var chain = Chain("a", 3);
        using (var first = pool.TryTake(chain, 3)!)
        {
            Fill(first, chain, 0);
            using var second = pool.TryTake(chain, 4)!;

            Assert.Equal(3, second.Shared);
            Assert.Equal(first.Pages.ToArray(), second.Pages[..3].ToArray());
            Assert.Equal(4, pool.Figures.InUse);
        }

        Assert.Equal((8, 3, 3), (pool.FreePages, pool.Figures.Kept, pool.Match(chain)));
        using var third = pool.TryTake(Chain("a", 5), 5)!;
        Assert.Equal((3, (byte)2), (third.Shared, third.Block(2)[0]));
        Assert.Equal((6L, 11L), (pool.Figures.Found, pool.Figures.Asked));
    }

    [Fact]
    public void A_chain_is_given_up_from_its_end_and_never_while_it_is_used()
    {
        using var pool = Pool(6);
        var (old, young) = (Chain("old", 3), Chain("young", 3));
        Keep(pool, old);
        Keep(pool, young);
        using (pool.TryTake(old, 3)!)
        {
            using var needs = pool.TryTake([], 2)!;

            Assert.Equal([young[2], young[1]], _left);
            Assert.Equal((3, 1), (pool.Match(old), pool.Match(young)));
            Assert.Null(pool.TryTake([], 2));
        }

        using var all = pool.TryTake([], 6)!;
        Assert.Equal([young[2], young[1], young[0], old[2], old[1], old[0]], _left);
        Assert.Equal((0, 6L), (pool.Figures.Kept, pool.Figures.Evicted));
    }

    [Fact]
    public void The_chain_used_longest_ago_goes_first()
    {
        using var pool = Pool(6);
        var (one, two) = (Chain("one", 3), Chain("two", 3));
        Keep(pool, one);
        Keep(pool, two);
        pool.TryTake(one, 3)!.Dispose();

        using var needs = pool.TryTake([], 3)!;

        Assert.Equal((3, 0), (pool.Match(one), pool.Match(two)));
    }

    [Fact]
    public void A_block_that_somebody_else_kept_stays_the_sequences_own()
    {
        using var pool = Pool(8);
        var chain = Chain("a", 2);
        using var first = pool.TryTake(chain, 2)!;
        using (var second = pool.TryTake(chain, 3)!)
        {
            Assert.Equal(0, second.Shared);
            Assert.True(first.Keep(0, chain[0]));
            Assert.False(second.Keep(0, chain[0]));
            Assert.True(second.Keep(1, chain[1]));
            Assert.False(first.Keep(1, chain[1]));
            Assert.Equal(2, pool.Match(chain));
        }

        Assert.Equal((2, 6), (pool.Figures.InUse, pool.FreePages));
    }

    [Fact]
    public void Blocks_are_kept_behind_their_parent_only()
    {
        using var pool = Pool(4);
        var chain = Chain("a", 3);
        using var run = pool.TryTake([], 3)!;

        Assert.Throws<ArgumentException>(() => run.Keep(1, chain[1]));
        Assert.True(run.Keep(0, chain[0]));
        Assert.False(run.Keep(0, chain[0]));
        Assert.Throws<ArgumentOutOfRangeException>(() => run.Keep(3, chain[2]));
    }

    [Fact]
    public async Task Blocks_go_out_to_the_host_and_come_in_from_it()
    {
        using var pool = Pool(2);
        var chain = Chain("a", 3);
        var bytes = TestBytes.Payload(1, PageBytes);
        var copy = new byte[PageBytes];

        Assert.False(await pool.TryAddAsync(chain[1], chain[0], bytes, None));
        Assert.True(await pool.TryAddAsync(chain[0], BlockHash.Root, bytes, None));
        Assert.False(await pool.TryAddAsync(chain[0], BlockHash.Root, bytes, None));
        Assert.True(await pool.CopyOutAsync(chain[0], copy, None));
        Assert.Equal(bytes, copy);
        Assert.False(await pool.CopyOutAsync(chain[1], copy, None));
        Assert.True(await pool.TryAddAsync(chain[1], chain[0], bytes, None));
        Assert.False(await pool.TryAddAsync(chain[2], chain[1], bytes, None));
        Assert.Empty(_left);
        await Assert.ThrowsAsync<ArgumentException>(async () => await pool.TryAddAsync(chain[2], chain[1], new byte[1], None));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await pool.CopyOutAsync(chain[0], new byte[1], None));
    }

    [Fact]
    public void A_block_is_removed_when_nobody_needs_it()
    {
        using var pool = Pool(4);
        var chain = Chain("a", 2);
        Keep(pool, chain);
        using (pool.TryTake(chain, 2)!)
        {
            Assert.False(pool.Remove(chain[1]));
        }

        Assert.False(pool.Remove(chain[0]));
        Assert.True(pool.Remove(chain[1]));
        Assert.True(pool.Remove(chain[0]));
        Assert.False(pool.Remove(chain[0]));
        Assert.Equal((4, 0), (pool.FreePages, pool.Figures.Kept));
    }

    [Fact]
    public async Task A_block_that_is_forgotten_is_found_by_nobody_and_its_page_comes_back()
    {
        using var pool = Pool(4);
        var chain = Chain("a", 2);
        Keep(pool, chain);
        using (var run = pool.TryTake(chain, 2)!)
        {
            Assert.True(pool.Forget(chain[0]));
            Assert.False(pool.Forget(chain[0]));
            Assert.False(await pool.CopyOutAsync(chain[0], new byte[PageBytes], None));
            Assert.Equal((0, 2, 2), (pool.Match(chain), run.Shared, pool.FreePages));
        }

        // Another one may come under the same hash while the first still has a page.
        Keep(pool, chain[..1]);
        Assert.Equal((2, 4), (pool.Match(chain), pool.FreePages));
        using var all = pool.TryTake([], 4)!;
        Assert.Equal(4, all.Pages.ToArray().Distinct().Count());
        Assert.Equal((0, 2), (pool.Figures.Kept, _left.Count));
    }

    [Fact]
    public void It_tells_which_blocks_are_kept_and_behind_which()
    {
        using var pool = Pool(4);
        var kept = new List<(BlockHash, BlockHash)>();
        pool.Kept = (hash, parent) => kept.Add((hash, parent));
        var chain = Chain("a", 2);

        Keep(pool, chain);
        Keep(pool, chain);

        Assert.Equal([(chain[0], BlockHash.Root), (chain[1], chain[0])], kept);
    }

    [Fact]
    public void It_does_not_end_while_sequences_have_pages()
    {
        var pool = Pool(4);
        var run = pool.TryTake([], 1)!;

        Assert.Contains("1 sequences", Assert.Throws<InvalidOperationException>(pool.Dispose).Message, StringComparison.Ordinal);
        run.Dispose();
        run.Dispose();
        pool.Dispose();
        pool.Dispose();
        Assert.Throws<ObjectDisposedException>(() => pool.TryTake([], 1));
        Assert.Equal(0, _device.Memory.AllocatedBytes);
    }

    /// <summary>Invariant: a kept block has its parent kept, bytes are those of its hash, and no page is in two places.</summary>
    [Fact]
    public void Threads_share_it()
    {
        const int Capacity = 24;
        using var pool = Pool(Capacity);
        var failures = new System.Collections.Concurrent.ConcurrentQueue<Exception>();
        var threads = Enumerable.Range(0, 3).Select(number => new Thread(() =>
        {
            try
            {
                Work(pool, new Random(number), Capacity);
            }
            catch (Exception failure)
            {
                failures.Enqueue(failure);
            }
        })).ToArray();
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());

        Assert.Empty(failures);
        Assert.Equal((Capacity, 0), (pool.FreePages, pool.Figures.InUse));
        using var all = pool.TryTake([], Capacity)!;
        Assert.Equal(Capacity, all.Pages.ToArray().Distinct().Count());
    }

    public void Dispose() => _device.Dispose();

    private static CancellationToken None => CancellationToken.None;

    private static void Work(DevicePagePool pool, Random random, int capacity)
    {
        for (var round = 0; round < 400; round++)
        {
            var chain = Chain(((char)('a' + random.Next(6))).ToString(), random.Next(1, capacity / 3));
            using var run = pool.TryTake(chain, chain.Length);
            for (var index = 0; run is not null && index < run.Count; index++)
            {
                var block = run.Block(index);
                if (index < run.Shared)
                {
                    Assert.Equal(chain[index], new BlockHash(block[..32]));
                    continue;
                }

                chain[index].CopyTo(block);
                run.Keep(index, chain[index]);
            }
        }
    }

    private static void Fill(DevicePageRun run, BlockHash[] chain, int first)
    {
        for (var index = first; index < run.Count; index++)
        {
            run.Block(index).Fill((byte)index);
            Assert.True(run.Keep(index, chain[index]));
        }
    }

    private static void Keep(DevicePagePool pool, BlockHash[] chain)
    {
        using var run = pool.TryTake(chain, chain.Length)!;
        Fill(run, chain, run.Shared);
    }

    private static BlockHash[] Chain(string name, int blocks) =>
        [.. Enumerable.Range(0, blocks).Select(index => new BlockHash(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes($"{name}{index}"))))];

    private DevicePagePool Pool(int pages) => new(_device, PageBytes, pages, TimeProvider.System)
    {
        Left = left =>
        {
            lock (_left)
            {
                _left.AddRange(left);
            }
        },
    };
}
