using KvMesh.Engine.Blocks;
using KvMesh.Engine.Host;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Host;

/// <summary>Writers, readers, leases and removals at the same time in an arena that is too small, while blocks are encoded and decoded.</summary>
public sealed class EncodedRamModelTests : IDisposable
{
    private const int Keys = 48;
    private const int Threads = 4;
    private const int Steps = 400;
    private readonly TemporaryDirectory _arena = new();

    public void Dispose() => _arena.Dispose();

    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 16 << 20)]
    public void Every_read_gives_the_bytes_of_one_write_and_nothing_is_lost_of_the_arena(int seed, long diskBytes)
    {
        using var engine = new TestEngine(
            options =>
            {
                CrashImage.ArenaOf(_arena, arenaBytes: 768 << 10, diskBytes: diskBytes)(options);
                options.HostCoding.EncodeShare = 64;
                options.HostCoding.EncodeFrom = 0;
            },
            diskCoder: diskBytes > 0 ? new BrotliCoder() : null,
            hostCoder: new BrotliCoder());

        var wrong = 0;
        Parallel.For(0, Threads, new ParallelOptions { MaxDegreeOfParallelism = Threads }, thread => Interlocked.Add(ref wrong, Run(engine, new Random((seed * 100) + thread))));

        Assert.Equal(0, wrong);

        // The background still moves blocks, and what has gone while it was looked at may seem to lie in another's place; two blocks in one place would stay so.
        Eventually.HoldsBlocking(() => !DoExtentsOverlap(engine.Tenant.Host), "that no two extents overlap");
        for (var key = 0; key < Keys; key++)
        {
            engine.Engine.Remove(engine.Tenant, BitConverter.GetBytes(key));
        }

        Eventually.HoldsBlocking(
            () => engine.Engine.Snapshot() is { EncodedBlocks: 0, EncodedBytes: 0, ShadowBlocks: 0 } figures && figures.Tiers[0].UsedBytes == 0,
            "the arena to be empty");
        Assert.Equal(0, engine.Engine.Snapshot().Integrity.Mismatches);
    }

    private static int Run(TestEngine engine, Random random)
    {
        var wrong = 0;
        using var leases = engine.Engine.OpenLeases(engine.Tenant);
        for (var step = 0; step < Steps; step++)
        {
            var key = random.Next(Keys);
            var bytes = BitConverter.GetBytes(key);
            switch (random.Next(10))
            {
                case < 4:
                    engine.Put(bytes, Payload(key, random.Next(1 << 16)), BlockTraits.Opaque);
                    break;
                case 4:
                    engine.Engine.Remove(engine.Tenant, bytes);
                    break;
                case 5:
                    engine.Engine.Exists(engine.Tenant, bytes, leases, TimeSpan.FromMilliseconds(1));
                    break;
                default:
                    wrong += engine.Engine.TryRead(engine.Tenant, bytes, ReadIntent.Use, out var read) && !IsWhole(read, key) ? 1 : 0;
                    break;
            }
        }

        return wrong;
    }

    private static bool IsWhole(BlockRead read, int key)
    {
        using (read)
        {
            var payload = read.Payload;
            return read.Verify() && BitConverter.ToInt32(payload) == key && payload.SequenceEqual(Payload(key, BitConverter.ToInt32(payload[4..])));
        }
    }

    /// <summary>A function of key and version, both of which it names.</summary>
    private static byte[] Payload(int key, int version)
    {
        var payload = new byte[20_000 + (key * 300)];
        new Random(version).NextBytes(payload.AsSpan(0, 2000));
        payload.AsSpan(2000).Fill((byte)version);
        BitConverter.TryWriteBytes(payload, key);
        BitConverter.TryWriteBytes(payload.AsSpan(4), version);
        return payload;
    }

    private static bool DoExtentsOverlap(HostTier host)
    {
        var extents = Enumerable.Range(0, host.Descriptors.HighWater).Select(host.OwnerOf).OfType<Block>().Distinct()
            .SelectMany(block => new[] { block.Extent, block.Encoded?.Extent ?? default }).Where(extent => !extent.IsNone).OrderBy(extent => extent.Offset).ToArray();
        return extents.Zip(extents.Skip(1)).Any(pair => pair.First.Offset + pair.First.AllocatedBytes > pair.Second.Offset);
    }
}
