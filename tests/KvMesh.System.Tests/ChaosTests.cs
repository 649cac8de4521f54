using System.Collections.Concurrent;
using KvMesh.Cli.Workload;
using KvMesh.Client;
using KvMesh.TestKit;
using StackExchange.Redis;

namespace KvMesh.System.Tests;

/// <summary>
/// Writers and readers on three doors while the node is killed and started again. Each key has one writer, which numbers its
/// puts; each payload carries key and number. So for every get it can be proved that the bytes are those of one put of that key:
/// not older than the last one acknowledged before the get began, not newer than the last one begun before it ended, and not one that was
/// removed. The blocks are far more than RAM holds, so that they are evicted to disk and read from there.
/// CHAOS_SECONDS makes it longer, CHAOS_SEED repeats a run.
/// </summary>
[Trait("Category", "System")]
public sealed class ChaosTests : IDisposable
{
    private const int Keys = 96;
    private const int Writers = 3;
    private const ulong PayloadSeed = 9;

    private static readonly int Seconds = Read("CHAOS_SECONDS", 12);
    private static readonly int Seed = Read("CHAOS_SEED", 20261121);

    private readonly NodeFolders _folders = new();
    private readonly Key[] _keys = [.. Enumerable.Range(0, Keys).Select(index => new Key(index))];
    private readonly ConcurrentQueue<string> _violations = [];
    private volatile NodeAddresses _addresses = null!;
    private long _hits;
    private long _misses;
    private long _failures;
    private long _removals;
    private long _evictions;
    private long _diskHits;

    public void Dispose() => _folders.Dispose();

    [Fact]
    public async Task Every_get_returns_the_bytes_of_one_put_of_its_key()
    {
        var node = await StartAsync();
        using var stop = new CancellationTokenSource();
        var workers = Enumerable.Range(0, Writers).Select(writer => Task.Run(() => WriteAsync(writer, stop.Token))).ToList();
        workers.Add(Task.Run(() => ReadNativeAsync(sharedMemory: false, 1, stop.Token)));
        workers.Add(Task.Run(() => ReadNativeAsync(sharedMemory: true, 2, stop.Token)));
        workers.Add(Task.Run(() => ReadRespAsync(3, stop.Token)));
        try
        {
            var started = TimeProvider.System.GetTimestamp();
            while (TimeProvider.System.GetElapsedTime(started) is var elapsed && (elapsed.TotalSeconds < Seconds || (!HasSeenAll && elapsed < Eventually.Patience)))
            {
                await Task.Delay(TimeSpan.FromSeconds(Math.Min(4, Seconds / 3.0)));
                await CountAsync(node);
                await node.Process.KillAsync();
                await node.DisposeAsync();
                node = await StartAsync();
            }

            await stop.CancelAsync();
            await Task.WhenAll(workers).Within("the end of every worker");
        }
        finally
        {
            await stop.CancelAsync();
            await node.DisposeAsync();
        }

        Assert.True(_violations.IsEmpty, $"seed {Seed}: {_violations.Count} violations; the first: {_violations.FirstOrDefault()}");
        Assert.True(
            HasSeenAll,
            $"seed {Seed}: {_hits} hits, {_misses} misses, {_failures} failures, {_removals} removals, {_evictions} evictions, {_diskHits} reads of the disk; the run proves nothing");
    }

    private bool HasSeenAll => _hits > 100 && _removals > 10 && _evictions > 10 && _diskHits > 10;

    /// <summary>Adds up what a process that is about to end has done.</summary>
    private async Task CountAsync(NodeProcess node)
    {
        using var admin = PatientAdmin.Of(node.Addresses);
        var tiers = (await admin.GetStatusAsync(CancellationToken.None)).Tiers;
        _evictions += tiers.Single(tier => tier.Name == "host").Evictions;
        _diskHits += tiers.Single(tier => tier.Name == "disk").Hits;
    }

    private static int Read(string variable, int fallback) => int.TryParse(Environment.GetEnvironmentVariable(variable), out var value) ? value : fallback;

    private async Task<NodeProcess> StartAsync()
    {
        var node = await NodeProcess.StartAsync(_folders, "--arena", "8MiB", "--disk", "1GiB");
        _addresses = node.Addresses;
        return node;
    }

    private async Task WriteAsync(int writer, CancellationToken stop)
    {
        var random = new Random(Seed + writer);
        var buffer = new byte[Key.MaxBytes];
        while (!stop.IsCancellationRequested)
        {
            await WithClientAsync(sharedMemory: writer == 0, async client =>
            {
                var key = _keys[(random.Next(Keys / Writers) * Writers) + writer];
                if (random.Next(8) == 0)
                {
                    return await RemoveAsync(client, key);
                }

                var version = key.Begin();
                var payload = buffer.AsMemory(0, key.Bytes);
                BlockPayload.Fill(payload.Span, key.Identity(version));
                var status = await client.PutKeyAsync(key.Name, payload, CancellationToken.None);
                if (status == PutStatus.Stored)
                {
                    key.Acknowledge(version);
                }

                return status != PutStatus.Failed;
            }, stop);
        }
    }

    /// <summary>An acknowledged removal: nothing that was put so far may come back, whatever becomes of the node.</summary>
    private async Task<bool> RemoveAsync(KvMeshClient client, Key key)
    {
        if (await client.RemoveKeyAsync(key.Name, CancellationToken.None))
        {
            key.Remove();
            Interlocked.Increment(ref _removals);
        }

        // That it was not there, or that the node was lost on the way, says nothing: the next put shows which.
        return true;
    }

    private async Task ReadNativeAsync(bool sharedMemory, int worker, CancellationToken stop)
    {
        var random = new Random(Seed + 100 + worker);
        var buffer = new byte[Key.MaxBytes];
        while (!stop.IsCancellationRequested)
        {
            await WithClientAsync(sharedMemory, async client =>
            {
                var key = _keys[random.Next(Keys)];
                var floor = key.Acknowledged;
                var result = await client.GetKeyAsync(key.Name, buffer, CancellationToken.None);
                Judge(key, floor, result.IsHit ? buffer.AsSpan(0, result.Bytes) : default, result.Status is GetStatus.Miss);
                return result.Status != GetStatus.Failed;
            }, stop);
        }
    }

    private async Task ReadRespAsync(int worker, CancellationToken stop)
    {
        var random = new Random(Seed + 100 + worker);
        while (!stop.IsCancellationRequested)
        {
            try
            {
                using var redis = await ConnectionMultiplexer.ConnectAsync($"{_addresses.Resp},connectTimeout=5000,syncTimeout=5000,connectRetry=1");
                while (!stop.IsCancellationRequested && redis.IsConnected)
                {
                    var key = _keys[random.Next(Keys)];
                    var floor = key.Acknowledged;
                    byte[]? value = await redis.GetDatabase().StringGetAsync(key.Name);
                    Judge(key, floor, value, value is null);
                }
            }
            catch (Exception e) when (e is RedisException or TimeoutException)
            {
                Interlocked.Increment(ref _failures);
                await Task.Delay(50, CancellationToken.None);
            }
        }
    }

    /// <summary>Repeats a step on one connection until the node is lost, then waits for the node to come back.</summary>
    private async Task WithClientAsync(bool sharedMemory, Func<KvMeshClient, Task<bool>> step, CancellationToken stop)
    {
        try
        {
            await using var client = await KvMeshClient.ConnectAsync(
                new ClientOptions
                {
                    Endpoint = sharedMemory ? _addresses.UnixEndpoint : _addresses.NativeEndpoint,
                    AllowSharedMemory = sharedMemory,
                    Connections = 1,

                    // A put that the client gives up while the node lives may end after a later one: only a killed node ends requests here.
                    RequestTimeout = Eventually.Patience,
                },
                CancellationToken.None);
            while (!stop.IsCancellationRequested && await step(client))
            {
                // The step tells when the node is lost.
            }
        }
        catch (KvMeshConnectException)
        {
            Interlocked.Increment(ref _failures);
            await Task.Delay(50, CancellationToken.None);
        }
    }

    private void Judge(Key key, uint floor, ReadOnlySpan<byte> value, bool isMiss)
    {
        var ceiling = key.Begun;
        if (value.IsEmpty)
        {
            _ = isMiss ? Interlocked.Increment(ref _misses) : Interlocked.Increment(ref _failures);
            return;
        }

        Interlocked.Increment(ref _hits);
        var seen = BlockPayload.Identify(value);
        var check = BlockPayload.Check(value, key.Identity(seen.Version));
        if (!check.IsMatch || value.Length != key.Bytes)
        {
            _violations.Enqueue($"{key}: {value.Length} bytes, {check.MismatchedBytes} wrong from {check.FirstMismatch} on; they read as {check.Seen}");
        }
        else if (seen.Version < floor || seen.Version > ceiling)
        {
            _violations.Enqueue($"{key}: put {seen.Version} came back; {floor} was acknowledged before, {ceiling} was the last begun");
        }
    }

    /// <summary>One key and the numbers of its puts. Its one writer begins and acknowledges; readers look.</summary>
    private sealed class Key(int index)
    {
        public const int MaxBytes = 512 * 1024;

        private uint _begun;
        private uint _acknowledged;

        public byte[] Name { get; } = TestBytes.Hash(chain: 500, index);

        /// <summary>From a few bytes to half a mebibyte, on odd sizes.</summary>
        public int Bytes { get; } = Math.Min(MaxBytes, 100 + (index * index * 57));

        public uint Begun => Volatile.Read(ref _begun);

        public uint Acknowledged => Volatile.Read(ref _acknowledged);

        public PayloadIdentity Identity(uint version) => new((PayloadSeed << 32) + (ulong)index, version);

        public uint Begin() => Interlocked.Increment(ref _begun);

        public void Acknowledge(uint version) => Volatile.Write(ref _acknowledged, version);

        /// <summary>The earliest put that may be read from now on is the next one.</summary>
        public void Remove() => Volatile.Write(ref _acknowledged, Begun + 1);

        public override string ToString() => $"key {index}";
    }
}
