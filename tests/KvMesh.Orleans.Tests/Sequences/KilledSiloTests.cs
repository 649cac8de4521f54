using KvMesh.Cluster.Sequences;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;
using KvMesh.TestKit.Sequences;
using Xunit.Abstractions;

namespace KvMesh.Orleans.Tests.Sequences;

/// <summary>A silo is killed while it appends: what it acknowledged is there, on the other silo, within the time that is promised.</summary>
public sealed class KilledSiloTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Promised = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task Sequences_of_a_killed_silo_go_on_at_another_with_all_that_was_acknowledged()
    {
        await using var redis = await RestartableRedis.StartAsync();
        await using var survivor = await LoneSilo.StartAsync(redis.Address, "killed", "survivor");
        await using var killed = ChildProcess.Start("dotnet", [SiloProgram.PathOfProgram, redis.Address, "killed"]);
        for (var number = 0; number < SiloProgram.Sequences; number++)
        {
            await killed.WaitForLineAsync(line => line.StartsWith($"{number} ", StringComparison.Ordinal) && line.EndsWith(" 12", StringComparison.Ordinal), $"three appends to chat-{number}", Eventually.Patience);
        }

        // Their grains are in the other process: this one hears of them and its own storage was never asked.
        Assert.True((await survivor.Host.FindAsync(IdOf(0), default)).Info!.Blocks >= 12);
        Assert.Equal(0, survivor.Reads);

        await killed.KillAsync();
        var start = TimeProvider.System.GetTimestamp();
        var acknowledged = Acknowledged(killed.Output);
        Assert.Equal(SiloProgram.Sequences, acknowledged.Count);
        await Task.WhenAll(acknowledged.Select(pair => GoOnAsync(survivor.Host, IdOf(pair.Key), pair.Value.Epoch, pair.Value.Blocks)));

        var took = TimeProvider.System.GetElapsedTime(start);
        output.WriteLine($"{acknowledged.Count} sequences, {acknowledged.Values.Sum(each => each.Blocks / 4)} appends acknowledged, all going on after {took.TotalSeconds:0.00} s");
        Assert.True(took <= Promised, $"It took {took.TotalSeconds:0.00} s.");
        Assert.InRange(survivor.Reads, SiloProgram.Sequences, int.MaxValue);
    }

    [Fact]
    public async Task Where_the_last_silo_was_killed_the_next_one_joins_and_has_its_sequences()
    {
        await using var redis = await RestartableRedis.StartAsync();
        await using (var killed = ChildProcess.Start("dotnet", [SiloProgram.PathOfProgram, redis.Address, "alone"]))
        {
            await killed.WaitForLineAsync(line => line.StartsWith("0 ", StringComparison.Ordinal) && line.EndsWith(" 12", StringComparison.Ordinal), "three appends", Eventually.Patience);
            await killed.KillAsync();
        }

        // Nobody is left who would declare it dead.
        await using var next = await LoneSilo.StartAsync(redis.Address, "alone", "next");
        Assert.True((await next.Host.FindAsync(IdOf(0), default)).Info!.Blocks >= 12);
    }

    /// <summary>Waits until the next append is taken. The last one before may have been done without the killed process having learned it.</summary>
    private static async Task GoOnAsync(SequenceHost host, SequenceId id, long epoch, long blocks)
    {
        SequenceReply found = default;
        await Eventually.Holds(async () => (found = await host.FindAsync(id, default)).IsOk, () => $"{id}, of which was said: {found.Text}");
        Assert.True(found.Info!.Blocks == blocks || found.Info.Blocks == blocks + 4, $"{id} has {found.Info.Blocks} blocks; {blocks} were acknowledged.");
        var reply = await host.ExecuteAsync(id, SequenceCommands.Append(epoch, found.Info.Blocks), default);
        Assert.True(reply.IsOk, $"{reply.Refusal}: {reply.Text}");
        var rows = await host.ReadRowsAsync(id, 0, 1000, default);
        Assert.Equal([.. Enumerable.Range(0, rows.Total).Select(row => (uint)row * 4)], rows.Rows.ToArray().Select(row => row.StartBlock));
    }

    private static Dictionary<int, (long Epoch, long Blocks)> Acknowledged(IReadOnlyList<string> lines) =>
        lines.Select(line => line.Split(' ')).Where(parts => parts.Length == 3 && int.TryParse(parts[0], out _))
            .GroupBy(parts => int.Parse(parts[0]), parts => (Epoch: long.Parse(parts[1]), Blocks: long.Parse(parts[2])))
            .ToDictionary(group => group.Key, group => group.MaxBy(each => each.Blocks));

    private static SequenceId IdOf(int number) => new(SiloProgram.Tenant, $"chat-{number}");
}
