using System.Globalization;
using System.Text;
using System.Text.Json;
using KvMesh.Simulation.Traces;
using KvMesh.TestKit;
using Xunit.Abstractions;

namespace KvMesh.System.Tests;

/// <summary>
/// <c>kvmesh replay</c> hits what an LRU cache of the same number of blocks hits, as a model of the plainest kind has it, and every byte is right. Always on
/// a synthetic trace; also on a recorded one where there is one: the file that KVMESH_TRACE names, or shared/traces/conversation.jsonl beside the checkout
/// (Mooncake's conversation trace, which is not ours to ship). The output says which.
/// </summary>
[Trait("Category", "System")]
public sealed class RecordedTraceTests(ITestOutputHelper output) : IDisposable
{
    /// <summary>Blocks that the node of the recorded trace keeps, and the share of hits of that trace under LRU then.</summary>
    private const int RecordedCapacity = 10_000;
    private const double RecordedHitRatio = 0.215;
    private const int SyntheticCapacity = 2_000;

    /// <summary>Prompts that come back as seldom as the recorded ones do.</summary>
    private static readonly ConversationOptions Shape = new()
    {
        Requests = 2500,
        ActiveSessions = 300,
        SystemPrompts = 40,
        SystemBlocks = (1, 4),
        TurnBlocks = (2, 16),
        EndChance = 0.4,
        ForkChance = 0,
    };

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(6);

    private readonly TemporaryDirectory _files = new();

    public void Dispose() => _files.Dispose();

    /// <summary>
    /// Through RESP the node guesses the chains from commands that eight connections send at once, and how they interleave is the machine's business: that
    /// weighs more in the short trace, which comes back to its blocks more often, and on a machine that does much else. Its bounds are wide enough for that; what a
    /// quiet machine reaches is in docs/BENCHMARKS.md.
    /// </summary>
    [Theory]
    [InlineData("native", 0.003, 0.003)]
    [InlineData("shm", 0.003, 0.003)]
    [InlineData("resp", 0.03, 0.01)]
    public async Task A_replay_hits_what_LRU_hits(string via, double syntheticTolerance, double tolerance)
    {
        await AssertAgreesAsync(WriteSynthetic(), SyntheticCapacity, via, syntheticTolerance);
        var recorded = Environment.GetEnvironmentVariable("KVMESH_TRACE") is { Length: > 0 } named
            ? named
            : Path.Combine(SourceTree.Root, "..", "shared", "traces", "conversation.jsonl");
        if (!File.Exists(recorded))
        {
            output.WriteLine($"There is no recorded trace at {recorded}: the synthetic one is all that was replayed. KVMESH_TRACE names another.");
            return;
        }

        output.WriteLine($"The recorded trace {recorded} is replayed as well.");
        Assert.InRange(await AssertAgreesAsync(recorded, RecordedCapacity, via, tolerance), RecordedHitRatio - tolerance, RecordedHitRatio + tolerance);
    }

    private async Task<double> AssertAgreesAsync(string trace, int capacity, string via, double tolerance)
    {
        var requests = MooncakeTrace.Load(trace);
        var model = new LruModel(capacity);
        requests.ForEach(model.Serve);

        var run = await NodeProcess.RunToEndAsync(
            Limit, "replay", trace, "--via", via, "--block-bytes", "1KiB", "--capacity-blocks", capacity.ToString(CultureInfo.InvariantCulture), "--retention", "lru", "--clients", "1", "--json");

        Assert.True(run.ExitCode == 0, $"exit code {run.ExitCode}: {run.Error}");
        var report = JsonDocument.Parse(run.Output).RootElement;
        var hitRatio = report.GetProperty("hitRatio").GetDouble();
        output.WriteLine($"{via}, {capacity} blocks: hit ratio {hitRatio:P2} of {model.Blocks} blocks; the model's {model.HitRatio:P2}");
        Assert.Equal((requests.Count, model.Blocks), (report.GetProperty("requests").GetInt64(), report.GetProperty("blocks").GetInt64()));
        Assert.Equal((0, 0), (report.GetProperty("mismatchedBytes").GetInt64(), report.GetProperty("errors").GetInt64()));
        Assert.InRange(model.HitRatio, 0.1, 0.9);
        Assert.InRange(hitRatio, model.HitRatio - tolerance, model.HitRatio + tolerance);
        return hitRatio;
    }

    private string WriteSynthetic()
    {
        var text = new StringBuilder();
        foreach (var request in ConversationGenerator.Generate(Shape))
        {
            var tokens = (request.FullBlocks * MooncakeTrace.TokensPerBlock) + (request.FullBlocks < request.BlockIds.Length ? 100 : 0);
            text.AppendLine(CultureInfo.InvariantCulture, $$"""{"timestamp": {{request.TimestampMs}}, "input_length": {{tokens}}, "output_length": 1, "hash_ids": [{{string.Join(", ", request.BlockIds.ToArray())}}]}""");
        }

        var path = Path.Combine(_files.Path, "synthetic.jsonl");
        File.WriteAllText(path, text.ToString());
        return path;
    }
}
