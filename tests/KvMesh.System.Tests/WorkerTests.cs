using System.Text.Json;
using System.Text.Json.Nodes;
using KvMesh.System.Tests.Workers;
using KvMesh.TestKit;
using KvMesh.Worker.Tests.Model;

namespace KvMesh.System.Tests;

/// <summary><c>kvmesh worker</c> as a process, called over HTTP as any client of OpenAI's API calls it.</summary>
[Trait("Category", "System")]
public sealed class WorkerTests
{
    private const string Prompt = "the quick brown fox jumps over the lazy dog, and the dog does not mind: it is a lazy dog.";

    [Fact]
    public async Task A_worker_of_its_own_answers_and_the_second_time_from_its_cache()
    {
        using var model = NewModel();
        await using var worker = await WorkerProcess.StartAsync(model);
        var first = await CompleteAsync(worker);
        var second = await CompleteAsync(worker);
        Assert.Equal(0, SeededCompletions.CachedOf(first));
        Assert.True(SeededCompletions.CachedOf(second) > 0);
        Assert.Equal(SeededCompletions.TextOf(first), SeededCompletions.TextOf(second));
        Assert.Contains("kvmesh_worker_requests_total{outcome=\"ok\"} 2", await worker.Client.GetStringAsync(new Uri("/metrics", UriKind.Relative)), StringComparison.Ordinal);
        Assert.Equal(0, await worker.StopAsync());
    }

    [Fact]
    public async Task A_worker_takes_from_its_node_what_another_one_computed()
    {
        using var folders = new NodeFolders();
        folders.WaitForBlocks("30s");
        await using var node = await NodeProcess.StartAsync(folders);
        using var model = NewModel();
        await using var one = await WorkerProcess.StartAsync(model, "--node", node.Addresses.NativeEndpoint);
        await using var other = await WorkerProcess.StartAsync(model, "--node", node.Addresses.NativeEndpoint);
        await Eventually.Holds(async () => await one.HasReachedAsync() && await other.HasReachedAsync(), "both workers at their node");
        var first = await CompleteAsync(one);

        // Blocks are published behind the answer: the same prompt comes until they are there, each time with another beginning of its own cache.
        var second = first;
        await Eventually.Holds(async () =>
        {
            await using var fresh = await WorkerProcess.StartAtAsync(node, model, "--fetch-all");
            second = await CompleteAsync(fresh);
            return SeededCompletions.CachedOf(second) > 0;
        }, "a prompt whose blocks came from the node");
        Assert.Equal(SeededCompletions.TextOf(first), SeededCompletions.TextOf(second));
        Assert.Equal(SeededCompletions.TextOf(first), SeededCompletions.TextOf(await CompleteAsync(other)));
        Assert.Equal(0, await one.StopAsync());
        Assert.Equal(0, await other.StopAsync());
    }

    [Fact]
    public async Task What_cannot_start_says_why()
    {
        using var empty = new TemporaryDirectory();
        var (missing, _, error) = await NodeProcess.RunToEndAsync(Eventually.Patience, "worker", "--model", empty.Path);
        Assert.Equal(1, missing);
        Assert.Contains("tokenizer.json", error, StringComparison.Ordinal);
        using var model = NewModel();
        var (open, _, why) = await NodeProcess.RunToEndAsync(Eventually.Patience, "worker", "--model", model.Path, "--http", "0.0.0.0:0");
        Assert.Equal(2, open);
        Assert.Contains("--token-file", why, StringComparison.Ordinal);
        var (alone, _, missed) = await NodeProcess.RunToEndAsync(
            Eventually.Patience, "worker", "--model", model.Path, "--http", "127.0.0.1:0", "--prefill", "http://127.0.0.1:1", "http://127.0.0.1:2");
        Assert.Equal(2, alone);
        Assert.Contains("PrefillWorkers is 2; it must be empty for a prefill worker and without a node", missed, StringComparison.Ordinal);
        var (_, _, wrong) = await NodeProcess.RunToEndAsync(Eventually.Patience, "worker", "--model", model.Path, "--prefill", "gpu-7:8621");
        Assert.Contains("--prefill is 'gpu-7:8621'; it must be an address that begins with http:// or https://.", wrong, StringComparison.Ordinal);
    }

    private static TestModel NewModel()
    {
        var model = new TestModel(new TestShape("system") { Vocabulary = 263 });
        File.WriteAllText(Path.Combine(model.Path, "tokenizer.json"), TokenizerFile.Of().Json().ToJsonString());
        return model;
    }

    private static Task<JsonElement> CompleteAsync(WorkerProcess worker) => worker.CompleteAsync(new JsonObject { ["prompt"] = Prompt, ["max_tokens"] = 8, ["temperature"] = 0 });
}
