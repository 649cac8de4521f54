using System.Diagnostics;
using KvMesh.Client;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Verbs;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;

namespace KvMesh.LoadTest.Clients;

/// <summary>One caller that writes and reads blocks of keys and values whose layout the node knows, one request in flight.</summary>
internal sealed class TensorWorker(KvMeshClient client, TensorBlocks content, int seed)
{
    private readonly BlockScope _scope = new("loadtest", "1", content.Layout.Hash, 0);
    private readonly byte[] _hash = new byte[Limits.ChainHashBytes];
    private readonly byte[] _read = GC.AllocateUninitializedArray<byte>(content.Bytes, pinned: true);
    private readonly Random _random = new(seed);

    /// <summary>Writes blocks that were never there.</summary>
    public async Task PutAsync(WorkerTally tally, RunWindow window)
    {
        while (window.TryBegin(content.Bytes))
        {
            var begin = Stopwatch.GetTimestamp();
            await PutAsync(BenchBlocks.NextFresh()).ConfigureAwait(false);
            tally.Count(1, content.Bytes, Stopwatch.GetTimestamp() - begin);
        }
    }

    /// <summary>Blocks that were read and had left the node.</summary>
    public int Misses { get; private set; }

    /// <summary>Reads blocks at random out of the first <paramref name="blocks"/>. One that has left is written again, outside of the figures.</summary>
    public async Task GetAsync(long blocks, WorkerTally tally, RunWindow window)
    {
        while (window.TryBegin(content.Bytes))
        {
            var number = _random.NextInt64(blocks);
            BenchBlocks.WriteHash(_hash, number);
            var begin = Stopwatch.GetTimestamp();
            var result = await client.GetAsync(_scope, _hash, _read, CancellationToken.None).ConfigureAwait(false);
            var taken = Stopwatch.GetTimestamp() - begin;
            if (result.Status == GetStatus.Miss)
            {
                Misses++;
                await PutAsync(number).ConfigureAwait(false);
                continue;
            }

            tally.Count(1, content.Bytes, taken);
            if (!result.IsHit || !content.IsLike(_hash, _read))
            {
                throw new LoadTestException($"Reading block {number} ended with {result.Status}{(result.IsHit ? " and the bytes of another" : "")}.");
            }
        }
    }

    public async Task PutAsync(long number)
    {
        BenchBlocks.WriteHash(_hash, number);
        var status = await client.PutAsync(_scope, _hash, ReadOnlyMemory<byte>.Empty, content.View(_hash), CancellationToken.None).ConfigureAwait(false);
        if (status is not (PutStatus.Stored or PutStatus.AlreadyPresent))
        {
            throw new LoadTestException($"Writing block {number} ended with {status}.");
        }
    }
}
