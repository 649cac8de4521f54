using System.Diagnostics;
using KvMesh.Client;
using KvMesh.LoadTest.Measuring;
using KvMesh.Protocol;

namespace KvMesh.LoadTest.Clients;

/// <summary>One caller of the .NET client with one request in flight, payloads walking 64 MiB of its own memory, or of memory that it is given.</summary>
internal sealed class NativeWorker(KvMeshClient client, int payloadBytes, int seed, Memory<byte>? walk = null)
{
    public const int WalkBytes = 64 * 1024 * 1024;

    private readonly Memory<byte> _walk = walk ?? Filled();
    private readonly byte[] _hash = new byte[Limits.ChainHashBytes];
    private readonly Random _random = new(seed);
    private int _position;

    /// <summary>Reads blocks at random out of the first <paramref name="blocks"/>.</summary>
    public async Task GetAsync(long blocks, WorkerTally tally, RunWindow window)
    {
        while (window.TryBegin(payloadBytes))
        {
            var number = _random.NextInt64(blocks);
            BenchBlocks.WriteHash(_hash, number);
            var target = Walk();
            var begin = Stopwatch.GetTimestamp();
            var result = await client.GetAsync(BenchBlocks.Scope, _hash, target, CancellationToken.None).ConfigureAwait(false);
            tally.Count(1, payloadBytes, Stopwatch.GetTimestamp() - begin);
            if (!result.IsHit)
            {
                throw new LoadTestException($"Reading block {number} ended with {result.Status}; it was stored before.");
            }

            BenchBlocks.Check(target.Span, number);
        }
    }

    /// <summary>Writes blocks that were never there.</summary>
    public async Task PutAsync(WorkerTally tally, RunWindow window)
    {
        while (window.TryBegin(payloadBytes))
        {
            var number = BenchBlocks.NextFresh();
            BenchBlocks.WriteHash(_hash, number);
            var payload = Walk();
            BenchBlocks.Sign(payload.Span, number);
            var begin = Stopwatch.GetTimestamp();
            var status = await client.PutAsync(BenchBlocks.Scope, _hash, ReadOnlyMemory<byte>.Empty, payload, CancellationToken.None).ConfigureAwait(false);
            tally.Count(1, payloadBytes, Stopwatch.GetTimestamp() - begin);
            if (status != PutStatus.Stored)
            {
                throw new LoadTestException($"Writing block {number} ended with {status}.");
            }
        }
    }

    /// <summary>Leases blocks where they are, and gives them back; <paramref name="use"/> sees the bytes in between.</summary>
    public async Task LeaseAsync(long blocks, WorkerTally tally, RunWindow window, Action<LeasedBlock>? use)
    {
        while (window.TryBegin(payloadBytes))
        {
            var number = _random.NextInt64(blocks);
            BenchBlocks.WriteHash(_hash, number);
            var begin = Stopwatch.GetTimestamp();
            using (var block = await client.LeaseAsync(BenchBlocks.Scope, _hash, CancellationToken.None).ConfigureAwait(false)
                ?? throw new LoadTestException($"Leasing block {number} missed; it was stored before."))
            {
                use?.Invoke(block);
                if (!block.Release())
                {
                    throw new LoadTestException($"The lease of block {number} ran out while it was read.");
                }
            }

            tally.Count(1, payloadBytes, Stopwatch.GetTimestamp() - begin);
        }
    }

    /// <summary>Reads runs of <paramref name="length"/> blocks where they are, one after the other; a run longer than there are blocks goes round.</summary>
    public async Task LeaseRunsAsync(long blocks, int length, WorkerTally tally, RunWindow window)
    {
        var hashes = new byte[length * Limits.ChainHashBytes];
        while (true)
        {
            var first = _random.NextInt64(blocks);
            for (var index = 0; index < length; index++)
            {
                BenchBlocks.WriteHash(hashes.AsSpan(index * Limits.ChainHashBytes, Limits.ChainHashBytes), (first + index) % blocks);
            }

            var begin = Stopwatch.GetTimestamp();
            await foreach (var block in client.LeaseManyAsync(BenchBlocks.Scope, hashes, CancellationToken.None).ConfigureAwait(false))
            {
                if (!window.TryBegin(payloadBytes))
                {
                    return;
                }

                BenchBlocks.Check((block ?? throw new LoadTestException("A block of a run missed; it was stored before.")).Span, first++ % blocks);
                if (!block.Release())
                {
                    throw new LoadTestException("The lease of a block of a run ran out while it was read.");
                }

                tally.Count(1, payloadBytes, Stopwatch.GetTimestamp() - begin);
                begin = Stopwatch.GetTimestamp();
            }
        }
    }

    private static byte[] Filled()
    {
        var walk = GC.AllocateUninitializedArray<byte>(WalkBytes, pinned: true);
        Array.Fill(walk, (byte)0x5A);
        return walk;
    }

    private Memory<byte> Walk()
    {
        _position = _position + payloadBytes > _walk.Length ? 0 : _position;
        var part = _walk.Slice(_position, payloadBytes);
        _position += payloadBytes;
        return part;
    }
}
