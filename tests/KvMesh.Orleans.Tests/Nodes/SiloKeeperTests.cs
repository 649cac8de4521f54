using System.Net;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;
using KvMesh.Cluster.Sequences;
using KvMesh.Orleans.Hosting;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Orleans.Tests.Nodes;

/// <summary>A silo that cannot join yet is a store that does not answer, and joins when it can.</summary>
public sealed class SiloKeeperTests
{
    [Fact]
    public async Task Joins_when_its_Redis_answers_and_is_silent_until_then()
    {
        await using var redis = await RestartableRedis.StartAsync();
        await redis.KillAsync();
        using var folder = new TemporaryDirectory();
        using var rows = new EmbeddedSequenceStore(Path.Combine(folder.Path, "rows"), new SequenceRules(), TimeProvider.System, NullLoggerFactory.Instance);
        using var log = new LogLines();
        var options = new OrleansSiloOptions
        {
            Cluster = "late",
            Redis = $"{redis.Address},connectTimeout=200,connectRetry=1",
            Address = IPAddress.Loopback,
            Port = FreePort.Next(),
        };
        await using var keeper = new SiloKeeper(options, rows, new SequenceRules(), TimeProvider.System, log);
        var (sequences, id) = (keeper.OpenSequences(), new SequenceId("acme", "chat"));
        await using var lease = keeper.LeaseFor(NodeId.Parse("a"), new OrderGate(), TimeSpan.FromSeconds(10));
        keeper.Start();
        await Eventually.Holds(() => log.Lines.Any(line => line.Text.Contains("could not join the cluster late", StringComparison.Ordinal)), "a silo that could not join");

        Assert.Equal(StoreStatus.Unavailable, (await sequences.ReadAsync(id, default)).Status);
        Assert.Equal(LeaseHolding.None, await lease.HoldAsync(default));

        await redis.RestartAsync(keepsData: true);
        await Eventually.Holds(async () => (await sequences.ReadAsync(id, default)).Status == StoreStatus.Ok, "an answer about a sequence");
        await Eventually.Holds(async () => (await lease.HoldAsync(default)).IsHeld, "the lease");
    }
}
