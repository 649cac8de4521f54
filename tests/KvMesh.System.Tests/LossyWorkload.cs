using System.Collections.Concurrent;
using KvMesh.Client;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>
/// A writer of tensors and two readers, one of whom takes nothing that lost a bit. Each answer is what was written, or for the other reader what its
/// encoding decodes to; anything else is a complaint.
/// </summary>
internal sealed class LossyWorkload
{
    private const int Keys = 400;

    private readonly TensorBlocks _blocks = new();
    private readonly ConcurrentQueue<string> _complaints = [];
    private long _lossy;
    private long _exact;
    private long _lossless;
    private long _failures;

    /// <summary>Answers that had lost something, so far.</summary>
    public long Lossy => Interlocked.Read(ref _lossy);

    /// <summary>Answers with every bit, to who takes no others.</summary>
    public long Lossless => Interlocked.Read(ref _lossless);

    public long Answers => Interlocked.Read(ref _exact) + Lossy + Lossless;

    public long Failures => Interlocked.Read(ref _failures);

    /// <summary>Reads and writes until it is stopped, or the node is gone.</summary>
    public async Task RunAsync(string endpoint, int seed, CancellationToken stop)
    {
        await using var writer = await ConnectAsync(endpoint, lossless: false);
        await using var reader = await ConnectAsync(endpoint, lossless: false);
        await using var strict = await ConnectAsync(endpoint, lossless: true);
        await Task.WhenAll(
            Task.Run(() => WriteAsync(writer, new Random(seed), stop), CancellationToken.None),
            Task.Run(() => ReadAsync(reader, lossless: false, new Random(seed + 1), stop), CancellationToken.None),
            Task.Run(() => ReadAsync(strict, lossless: true, new Random(seed + 2), stop), CancellationToken.None));
    }

    /// <summary>Reads each block once, with and without what lost something. Returns the hits.</summary>
    public async Task<int> ReadAllAsync(string endpoint)
    {
        await using var reader = await ConnectAsync(endpoint, lossless: false);
        await using var strict = await ConnectAsync(endpoint, lossless: true);
        var (buffer, hits) = (new byte[TensorBlocks.BlockBytes], 0);
        for (var index = 0; index < Keys; index++)
        {
            hits += await AskAsync(strict, lossless: true, index, buffer) == GetStatus.Hit ? 1 : 0;
            hits += await AskAsync(reader, lossless: false, index, buffer) == GetStatus.Hit ? 1 : 0;
        }

        return hits;
    }

    public void AssertNoneWrong() => Assert.True(_complaints.IsEmpty, $"{_complaints.Count} wrong answers; the first: {_complaints.FirstOrDefault()}");

    public override string ToString() => $"{Lossy} lossy, {Interlocked.Read(ref _exact)} exact and {Lossless} lossless answers, {Failures} failures";

    private static Task<KvMeshClient> ConnectAsync(string endpoint, bool lossless) => KvMeshClient.ConnectAsync(
        new ClientOptions
        {
            Endpoint = endpoint,
            AllowSharedMemory = false,
            Connections = 1,
            RequestTimeout = Eventually.Patience,
            ConnectTimeout = Eventually.Patience,
            LosslessReads = lossless,
        },
        CancellationToken.None).AsTask();

    private async Task WriteAsync(KvMeshClient client, Random random, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var index = random.Next(Keys);
            if (await client.PutAsync(TensorBlocks.Scope, TensorBlocks.Hash(index), default, _blocks.Exact(index), CancellationToken.None) == PutStatus.Failed)
            {
                Interlocked.Increment(ref _failures);
                return;
            }
        }
    }

    private async Task ReadAsync(KvMeshClient client, bool lossless, Random random, CancellationToken stop)
    {
        var buffer = new byte[TensorBlocks.BlockBytes];
        while (!stop.IsCancellationRequested && await AskAsync(client, lossless, random.Next(Keys), buffer) != GetStatus.Failed)
        {
            // The next one.
        }
    }

    private async Task<GetStatus> AskAsync(KvMeshClient client, bool lossless, int index, byte[] buffer)
    {
        var result = await client.GetAsync(TensorBlocks.Scope, TensorBlocks.Hash(index), buffer, CancellationToken.None);
        if (result.Status == GetStatus.Failed)
        {
            Interlocked.Increment(ref _failures);
        }
        else if (result.Status == GetStatus.Hit)
        {
            Judge(index, buffer.AsSpan(0, result.Bytes), lossless);
        }

        return result.Status;
    }

    private void Judge(int index, ReadOnlySpan<byte> payload, bool lossless)
    {
        if (payload.SequenceEqual(_blocks.Exact(index)))
        {
            Interlocked.Increment(ref lossless ? ref _lossless : ref _exact);
        }
        else if (!payload.SequenceEqual(_blocks.Lossy(index)))
        {
            _complaints.Enqueue($"block {index}: {payload.Length} bytes that are neither what was written nor what its encoding decodes to");
        }
        else if (lossless)
        {
            _complaints.Enqueue($"block {index}: a reader who takes nothing lossy got a lossy copy");
        }
        else
        {
            Interlocked.Increment(ref _lossy);
        }
    }
}
