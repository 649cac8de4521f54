using System.Buffers.Binary;
using System.Collections.Concurrent;
using KvMesh.Engine.Blocks;
using KvMesh.Protocol.Integrity;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Blocks;

/// <summary>
/// Many threads on few keys and little room. Every payload names its key and its writer, so a reader can tell bytes of another
/// block, of two writers mixed, or of an extent that was reused under it.
/// </summary>
public sealed class BlockEngineSoakTests
{
    private const int Keys = 64;

    [Fact]
    public void Readers_writers_and_removers_of_the_same_keys_never_see_wrong_bytes() => Run(seed: 1, operationsPerThread: 4_000);

    [Fact]
    [Trait("Category", "Soak")]
    public void Readers_writers_and_removers_for_a_long_time() => Run(seed: Environment.TickCount, operationsPerThread: 1_000_000);

    private static void Run(int seed, int operationsPerThread)
    {
        using var engine = new TestEngine(options =>
        {
            options.ArenaBytes = 4 << 20;
            options.ScrubBytesPerSecond = 256 << 20;
            options.MaxResidenceLease = TimeSpan.FromMilliseconds(5);
        });
        var failures = new ConcurrentQueue<string>();
        var threads = Enumerable.Range(0, 6).Select(number => new Thread(() => Work(engine, new Random(seed + number), number, operationsPerThread, failures))).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => Assert.True(thread.Join(TimeSpan.FromMinutes(10)), "A worker did not finish in ten minutes."));

        Assert.Empty(failures);
        Assert.Equal(0, engine.Engine.Snapshot().Integrity.Mismatches);
        engine.Leases.Dispose();
        engine.Engine.Purge(engine.Tenant, null, null);
        for (var key = 0; key < Keys; key++)
        {
            Assert.Null(engine.Get(KeyOf(key)));
        }
    }

    private static void Work(TestEngine engine, Random random, int thread, int operations, ConcurrentQueue<string> failures)
    {
        using var leases = engine.Engine.OpenLeases(engine.Tenant);
        for (var operation = 0; operation < operations && failures.IsEmpty; operation++)
        {
            var key = random.Next(Keys);
            switch (random.Next(10))
            {
                case < 3:
                    Put(engine, key, (thread << 24) | operation, random);
                    break;
                case < 4:
                    engine.Engine.Remove(engine.Tenant, KeyOf(key));
                    break;
                case < 5:
                    engine.Engine.Exists(engine.Tenant, KeyOf(key), leases, TimeSpan.FromMilliseconds(random.Next(20)));
                    break;
                case < 6 when engine.Engine.TryRead(engine.Tenant, KeyOf(key), ReadIntent.Use, out var resident):
                    var lease = leases.TakeResidence(resident, TimeSpan.FromMilliseconds(3));
                    if (lease != 0 && random.Next(2) == 0)
                    {
                        leases.Release(lease);
                    }

                    break;
                default:
                    Check(engine, key, failures);
                    break;
            }
        }
    }

    private static void Put(TestEngine engine, int key, int writer, Random random)
    {
        // Even keys are content, odd ones are replaced.
        var bytes = 16 + random.Next(key % 8 == 0 ? 300_000 : 20_000);
        var traits = key % 2 == 0 ? BlockTraits.Content("m", "", key > 2 ? KeyOf(key - 2) : default) : BlockTraits.Opaque;
        if (engine.Engine.TryReserve(engine.Tenant, KeyOf(key), bytes, traits, out var reservation) != ReserveStatus.Reserved)
        {
            return;
        }

        Fill(reservation!.Payload, key, writer);
        if (random.Next(8) == 0)
        {
            engine.Engine.Abort(reservation);
            return;
        }

        ChecksumTable.Compute(reservation.Payload, reservation.Checksums);
        engine.Engine.Seal(reservation, default);
    }

    private static void Check(TestEngine engine, int key, ConcurrentQueue<string> failures)
    {
        if (!engine.Engine.TryRead(engine.Tenant, KeyOf(key), ReadIntent.Use, out var read))
        {
            return;
        }

        using (read)
        {
            var payload = read.Payload;
            var expected = new byte[payload.Length];
            Fill(expected, key, BinaryPrimitives.ReadInt32LittleEndian(payload[4..]));
            if (!payload.SequenceEqual(expected))
            {
                failures.Enqueue($"Key {key}: {payload.Length} bytes are not those of one put.");
            }
        }
    }

    private static void Fill(Span<byte> payload, int key, int writer)
    {
        payload.Fill((byte)(key + writer));
        BinaryPrimitives.WriteInt32LittleEndian(payload, key);
        BinaryPrimitives.WriteInt32LittleEndian(payload[4..], writer);
        BinaryPrimitives.WriteInt32LittleEndian(payload[8..], payload.Length);
    }

    private static byte[] KeyOf(int key) => BitConverter.GetBytes(key);
}
