using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Diagnostics;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Leases;
using KvMesh.Protocol.Integrity;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Blocks;

/// <summary>
/// Many threads on few keys, little RAM and a disk below it. Every payload names its key and its put, and a ledger knows how each put ended: a
/// reader proves that it was given all bytes of one put of that key that was sealed, that no later one of its key had been sealed before the
/// read began, and that the key was not removed since. Half of the keys have one writer, so that this order is known; the others are contested,
/// and there only the first part can be proved.
/// </summary>
public sealed class BlockEngineSoakTests
{
    private const int Keys = 64;
    private const int Threads = 6;

    [Fact]
    public void Every_read_gives_the_bytes_of_one_sealed_put() => Run(seed: 1, operationsPerThread: 4_000);

    [Fact]
    [Trait("Category", "Soak")]
    public void Every_read_gives_the_bytes_of_one_sealed_put_for_a_long_time() => Run(seed: Environment.TickCount, operationsPerThread: 1_000_000);

    private static void Run(int seed, int operationsPerThread)
    {
        using var engine = new TestEngine(options =>
        {
            options.ArenaBytes = 2 << 20;
            options.Disk.CapacityBytes = 64 << 20;
            options.Disk.SegmentBytes = 2 << 20;
            options.ScrubBytesPerSecond = 256 << 20;
            options.MaxResidenceLease = TimeSpan.FromMilliseconds(5);
        });
        var ledger = new KeyLedger(Keys);
        var failures = new ConcurrentQueue<string>();
        var threads = Enumerable.Range(0, Threads)
            .Select(number => new Thread(() => new Worker(engine, ledger, failures, new Random(seed + number), number).Work(operationsPerThread))).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => Assert.True(thread.Join(TimeSpan.FromMinutes(10)), "A worker did not finish in ten minutes."));

        Assert.Empty(failures);
        Assert.Empty(ledger.ReadsOfUnsealedPuts());
        Assert.Equal(0, engine.Engine.Snapshot().Integrity.Mismatches);
        Assert.True(ProvesEnough(engine, ledger), $"{ledger.Reads} reads were hits, {engine.Engine.Snapshot().Tiers[1].Hits} of them of the disk; the run proves nothing");
        engine.Leases.Dispose();
        engine.Engine.Purge(engine.Tenant, null, null);
        Assert.All(Enumerable.Range(0, Keys), key => Assert.Null(engine.Get(KeyLedger.KeyOf(key))));
    }

    private static bool ProvesEnough(TestEngine engine, KeyLedger ledger) =>
        ledger.Reads > 2_000 && engine.Engine.Snapshot() is { Tiers: [{ Evictions: > 0 }, { Hits: > 20 }] };

    /// <summary>One thread with its own connection and its own keys.</summary>
    private sealed class Worker(TestEngine engine, KeyLedger ledger, ConcurrentQueue<string> failures, Random random, int number)
    {
        public void Work(int operations)
        {
            using var leases = engine.Engine.OpenLeases(engine.Tenant);
            var startedAt = Stopwatch.GetTimestamp();
            for (var operation = 0;
                failures.IsEmpty && (operation < operations || (Stopwatch.GetElapsedTime(startedAt) < Eventually.Patience && !HasSeenAll(operation)));
                operation++)
            {
                Step(leases);
            }
        }

        /// <summary>Whether enough was read, and from everywhere: how far demotion keeps up is the machine's business.</summary>
        private bool HasSeenAll(int operation) => operation % 64 == 0 && ProvesEnough(engine, ledger);

        private void Step(ConnectionLeases leases)
        {
            var key = random.Next(Keys);
            switch (random.Next(10))
            {
                case < 2:
                    Put(KeyToWrite());
                    break;
                case < 3:
                    if (random.Next(3) == 0)
                    {
                        Remove(KeyToWrite());
                    }

                    break;
                case < 4:
                    engine.Engine.Exists(engine.Tenant, KeyLedger.KeyOf(key), leases, TimeSpan.FromMilliseconds(random.Next(20)));
                    break;
                case < 5 when engine.Engine.TryRead(engine.Tenant, KeyLedger.KeyOf(key), ReadIntent.Use, out var resident):
                    var lease = leases.TakeResidence(resident, TimeSpan.FromMilliseconds(3));
                    if (lease != 0 && random.Next(2) == 0)
                    {
                        leases.Release(lease);
                    }

                    break;
                default:
                    Read(key);
                    break;
            }
        }

        /// <summary>A contested key, or one that only this thread writes.</summary>
        private int KeyToWrite() => random.Next(3) == 0 ? random.Next(Keys / 2) * 2 : (random.Next(Keys / 2 / Threads) * Threads * 2) + (number * 2) + 1;

        private void Put(int key)
        {
            var bytes = 16 + random.Next(key % 8 == 0 ? 300_000 : 20_000);
            var traits = key % 4 < 2 ? BlockTraits.Content("m", "", key > 4 ? KeyLedger.KeyOf(key - 4) : default) : BlockTraits.Opaque;
            if (engine.Engine.TryReserve(engine.Tenant, KeyLedger.KeyOf(key), bytes, traits, out var reservation) != ReserveStatus.Reserved)
            {
                return;
            }

            var put = ledger.Begin(key);
            KeyLedger.Fill(reservation!.Payload, key, put);
            if (random.Next(8) == 0)
            {
                engine.Engine.Abort(reservation);
                return;
            }

            ChecksumTable.Compute(reservation.Payload, reservation.Checksums);
            if (engine.Engine.Seal(reservation, default) == SealStatus.Sealed)
            {
                ledger.Seal(key, put);
            }
        }

        private void Remove(int key)
        {
            // What comes after is another put of it, whoever of two removers was first.
            engine.Engine.Remove(engine.Tenant, KeyLedger.KeyOf(key));
            ledger.Remove(key);
        }

        private void Read(int key)
        {
            var floor = ledger.Floor(key);
            if (!engine.Engine.TryRead(engine.Tenant, KeyLedger.KeyOf(key), ReadIntent.Use, out var read))
            {
                return;
            }

            using (read)
            {
                if (read.MustVerify && !read.Verify())
                {
                    failures.Enqueue($"key {key}: its bytes do not match their checksums");
                }
                else if (ledger.Judge(key, floor, read.Payload) is { } problem)
                {
                    failures.Enqueue(problem);
                }
            }
        }
    }

    /// <summary>What became of each put. Odd keys have one writer; what is said of their order is in that writer's order.</summary>
    private sealed class KeyLedger(int keys)
    {
        private readonly int[] _begun = new int[keys];
        private readonly int[] _floor = new int[keys];
        private readonly ConcurrentDictionary<(int Key, int Put), bool> _sealed = new();
        private readonly ConcurrentDictionary<(int Key, int Put), bool> _read = new();
        private long _reads;

        public long Reads => Interlocked.Read(ref _reads);

        public static byte[] KeyOf(int key) => BitConverter.GetBytes(key);

        public static void Fill(Span<byte> payload, int key, int put)
        {
            payload.Fill((byte)(key + (put * 31)));
            BinaryPrimitives.WriteInt32LittleEndian(payload, key);
            BinaryPrimitives.WriteInt32LittleEndian(payload[4..], put);
            BinaryPrimitives.WriteInt32LittleEndian(payload[8..], payload.Length);
        }

        public int Begin(int key) => Interlocked.Increment(ref _begun[key]);

        public void Seal(int key, int put)
        {
            _sealed[(key, put)] = true;
            Volatile.Write(ref _floor[key], put);
        }

        /// <summary>No put that has begun may be read any more.</summary>
        public void Remove(int key) => Volatile.Write(ref _floor[key], Volatile.Read(ref _begun[key]) + 1);

        /// <summary>The earliest put of a key that a read which begins now may give; of a contested key nobody knows.</summary>
        public int Floor(int key) => key % 2 == 0 ? 0 : Volatile.Read(ref _floor[key]);

        /// <summary>What is wrong with the bytes of a read, or null. Whether their put was sealed is known at the end.</summary>
        public string? Judge(int key, int floor, ReadOnlySpan<byte> payload)
        {
            Interlocked.Increment(ref _reads);
            var put = BinaryPrimitives.ReadInt32LittleEndian(payload[4..]);
            var expected = new byte[payload.Length];
            Fill(expected, key, put);
            if (!payload.SequenceEqual(expected))
            {
                return $"key {key}: {payload.Length} bytes are not those of one put";
            }

            _read[(key, put)] = true;
            var begun = Volatile.Read(ref _begun[key]);
            return put >= floor && put <= begun ? null : $"key {key}: put {put} was read; {floor} was the earliest possible, {begun} the last begun";
        }

        /// <summary>Puts that were read though they were aborted, refused, or lost against another.</summary>
        public IEnumerable<string> ReadsOfUnsealedPuts() =>
            _read.Keys.Where(read => !_sealed.ContainsKey(read)).Select(read => $"key {read.Key}: put {read.Put} was read and never sealed");
    }
}
