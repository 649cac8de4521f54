using System.CommandLine;
using System.Diagnostics;
using KvMesh.Client;
using KvMesh.LoadTest.Clients;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Processes;
using KvMesh.LoadTest.Reporting;

namespace KvMesh.LoadTest.Verbs;

/// <summary>From <c>kill -9</c> to serving again, with many blocks to take up, beside the start of an empty node.</summary>
internal static class RestartVerb
{
    private const int Callers = 16;
    private const int Checked = 2_000;

    public static Command Create()
    {
        var blocks = new Option<int>("--blocks") { DefaultValueFactory = _ => 100_000 };
        var size = new Option<int>("--size") { Description = "Payload bytes.", DefaultValueFactory = _ => 16 << 10 };
        var disk = new Option<bool>("--disk") { Description = "With half of the blocks on disk instead of all in RAM." };
        return RunOptions.Verb("restart", "Time from kill -9 to serving with 100,000 blocks.", 1, Configure, (parse, settings) =>
            Run(settings, parse.GetValue(blocks), parse.GetValue(size), parse.GetValue(disk)));

        void Configure(Command command)
        {
            command.Add(blocks);
            command.Add(size);
            command.Add(disk);
        }
    }

    private static Report Run(RunSettings settings, int blocks, int size, bool disk)
    {
        var bytes = blocks * (size + 8192L);
        var kvmesh = new KvMeshSettings { DataDirectory = "", ArenaBytes = disk ? bytes / 2 : bytes, DiskBytes = disk ? bytes * 2 : 0 };
        RunSettings.Progress($"writing {blocks} blocks of {size} bytes");
        using var node = new NodeUnderTest(kvmesh);
        using var empty = new NodeUnderTest(kvmesh with { ArenaBytes = kvmesh.ArenaBytes });
        Fill(node, blocks, size);
        var present = Present(node, blocks);
        RunSettings.Progress($"killing and starting with {present.Count} blocks");
        Contender[] contenders =
        [
            new("empty node", () => Restart(empty, [], size)),
            new($"node with {present.Count} blocks", () => Restart(node, present, size)),
        ];
        var series = PairedRuns.Measure(contenders, settings, warmUp: false);
        var report = new Report(
            "restart",
            $"From kill -9 to the first answer over the native protocol; then {Checked} of the blocks that were there before, chosen at random, are read and "
            + $"compared, and none may be missing {(disk ? "(RAM holds half of what was written; the others were demoted to disk or dropped)" : "(all blocks are in RAM)")}.");
        foreach (var contender in series)
        {
            report.Add(new ReportRow
            {
                What = "kill -9 to the first get",
                Who = contender.Name,
                Figure = contender.SpreadOf(sample => sample.Seconds * 1e3),
                Unit = "ms",
                Ratio = ReferenceEquals(contender, series[0]) ? null : contender.RatioTo(series[0], sample => sample.Seconds),
            });
        }

        return report;
    }

    /// <summary>Which blocks the node has: what was never used again may be dropped instead of demoted.</summary>
    private static List<long> Present(NodeUnderTest node, int blocks)
    {
        const int Batch = 1_000;
        var client = node.Connect(new ClientOptions { Endpoint = node.TcpEndpoint, AllowSharedMemory = false });
        var found = new List<long>();
        var hashes = new byte[Batch * Protocol.Limits.ChainHashBytes];
        var present = new bool[Batch];
        for (var first = 0L; first < blocks; first += Batch)
        {
            for (var index = 0; index < Batch; index++)
            {
                BenchBlocks.WriteHash(hashes.AsSpan(index * Protocol.Limits.ChainHashBytes, Protocol.Limits.ChainHashBytes), first + index);
            }

            _ = client.ExistsAsync(BenchBlocks.Scope, hashes, present, CancellationToken.None).AsTask().GetAwaiter().GetResult();
            found.AddRange(Enumerable.Range(0, Batch).Where(index => present[index]).Select(index => first + index));
        }

        return found;
    }

    private static Sample Restart(NodeUnderTest node, List<long> blocks, int size)
    {
        var begin = Stopwatch.GetTimestamp();
        node.KillAndRestart();
        var client = node.Connect(new ClientOptions { Endpoint = node.TcpEndpoint, AllowSharedMemory = false });
        if (blocks.Count == 0)
        {
            _ = client.PingAsync(CancellationToken.None).AsTask().GetAwaiter().GetResult() ?? throw new LoadTestException("The node does not answer.");
            return new Sample(0, 0, Stopwatch.GetElapsedTime(begin).TotalSeconds);
        }

        var random = new Random(1);
        var payload = new byte[size];
        Get(client, blocks[random.Next(blocks.Count)], payload);
        var seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
        for (var i = 0; i < Checked; i++)
        {
            Get(client, blocks[random.Next(blocks.Count)], payload);
        }

        return new Sample(1, size, seconds);
    }

    private static void Get(KvMeshClient client, long number, byte[] payload)
    {
        var hash = new byte[Protocol.Limits.ChainHashBytes];
        BenchBlocks.WriteHash(hash, number);
        var result = client.GetAsync(BenchBlocks.Scope, hash, payload, CancellationToken.None).AsTask().GetAwaiter().GetResult();
        if (!result.IsHit)
        {
            throw new LoadTestException($"After the restart block {number} is gone: {result.Status}.");
        }

        BenchBlocks.Check(payload, number);
    }

    private static void Fill(NodeUnderTest node, int blocks, int size)
    {
        var client = node.Connect(new ClientOptions { Endpoint = node.TcpEndpoint, AllowSharedMemory = false });
        var next = -1L;
        Task.WaitAll([.. Enumerable.Range(0, Callers).Select(_ => Task.Run(PutAsync))]);

        async Task PutAsync()
        {
            var hash = new byte[Protocol.Limits.ChainHashBytes];
            var payload = new byte[size];
            for (var number = Interlocked.Increment(ref next); number < blocks; number = Interlocked.Increment(ref next))
            {
                BenchBlocks.WriteHash(hash, number);
                BenchBlocks.Sign(payload, number);
                var status = await client.PutAsync(BenchBlocks.Scope, hash, ReadOnlyMemory<byte>.Empty, payload, CancellationToken.None);
                if (status != PutStatus.Stored)
                {
                    throw new LoadTestException($"Writing block {number} ended with {status}.");
                }
            }
        }
    }
}
