using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using KvMesh.Client;
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
    public async Task A_worker_says_whether_its_node_answers_and_computes_without_it()
    {
        using var folders = new NodeFolders();
        using var model = NewModel();
        await using var node = await NodeProcess.StartAsync(folders);
        await using var worker = await WorkerProcess.StartAsync(model, "--node", node.Addresses.UnixEndpoint);
        await Eventually.Holds(worker.HasReachedAsync, "a worker at its node");

        await node.Process.KillAsync();
        await Eventually.Holds(async () => (await HealthAsync(worker)).Contains("does not answer", StringComparison.Ordinal), "a node that does not answer");
        var alone = await CompleteAsync(worker);

        await using var again = await NodeProcess.StartAsync(folders);
        await Eventually.Holds(worker.HasReachedAsync, "a worker at its node again");
        Assert.Equal(SeededCompletions.TextOf(alone), SeededCompletions.TextOf(await CompleteAsync(worker)));
    }

    [Fact]
    public async Task A_prefill_worker_that_asks_for_a_token_gets_it()
    {
        const string Token = "secret-of-the-prefill-workers";
        using var folders = new NodeFolders();
        folders.WaitForBlocks("30s");
        using var model = NewModel();
        using var folder = new TemporaryDirectory();
        var file = TestTokens.Write(Path.Combine(folder.Path, "tokens.json"), [new TestToken("default", Token, ["read", "write"])]);
        await using var node = await NodeProcess.StartAsync(folders);
        await using var prefill = await WorkerProcess.StartAtAsync(node, model, "--role", "prefill", "--token-file", file);
        string[] role = ["--role", "decode", "--prefill", $"{prefill.Address}"];
        await using var stranger = await WorkerProcess.StartAtAsync(node, model, [.. role, "--revision", "of-the-stranger"]);
        await using var wrong = await WorkerProcess.StartAtAsync(node, model, [.. role, "--revision", "of-the-wrong", "--prefill-token", "another"]);
        await using var decode = await WorkerProcess.StartAtAsync(node, model, [.. role, "--prefill-token", Token]);

        var expected = SeededCompletions.TextOf(await CompleteAsync(stranger));
        Assert.Contains("this worker has none (--prefill-token)", await HealthAsync(stranger), StringComparison.Ordinal);
        Assert.Equal(expected, SeededCompletions.TextOf(await CompleteAsync(wrong)));
        Assert.Contains("(--prefill-token) is none of its callers", await HealthAsync(wrong), StringComparison.Ordinal);
        Assert.Equal(expected, SeededCompletions.TextOf(await CompleteAsync(decode)));
        Assert.DoesNotContain("--prefill-token", await HealthAsync(decode), StringComparison.Ordinal);
        prefill.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Token);
        Assert.True(await prefill.ReadAsync("kvmesh_worker_computed_tokens_total") > 0, "the prefill worker computed nothing");
    }

    [Fact]
    public async Task What_the_node_evicted_comes_from_a_worker_until_that_is_killed()
    {
        using var folders = new NodeFolders();
        folders.WaitForBlocks("30s");
        using var model = NewModel();
        await using var node = await NodeProcess.StartAsync(folders, "--arena", "32MiB");
        await using var client = await Blocks.ConnectAsync(node.Addresses.NativeEndpoint);
        await using var holder = await WorkerProcess.StartAtAsync(node, model);
        var first = await CompleteAsync(holder);
        await Eventually.Holds(async () => await holder.ReadAsync("kvmesh_worker_published_blocks_total") >= SeededCompletions.CachedOf(await CompleteAsync(holder)) / 16, "its blocks published");
        await EvictAsync(client, 1);

        await using (var reader = await WorkerProcess.StartAtAsync(node, model, "--fetch-all", "--hand-overs", "0"))
        {
            var second = await CompleteAsync(reader);
            Assert.Equal(SeededCompletions.TextOf(first), SeededCompletions.TextOf(second));
            Assert.True(SeededCompletions.CachedOf(second) > 0, "nothing came from the worker");
        }

        Assert.True(await holder.ReadAsync("kvmesh_worker_handed_over_blocks_total") > 0);
        await EvictAsync(client, 2);
        await holder.Process.KillAsync();
        using var metrics = new HttpClient { BaseAddress = node.Addresses.Http };
        await Eventually.Holds(
            async () => (await metrics.GetStringAsync(new Uri("/metrics", UriKind.Relative))).Contains("\nkvmesh_held_blocks 0", StringComparison.Ordinal), "no block of the killed worker");

        await using var last = await WorkerProcess.StartAtAsync(node, model, "--fetch-all");
        var third = await CompleteAsync(last);
        Assert.Equal(SeededCompletions.TextOf(first), SeededCompletions.TextOf(third));
        Assert.Equal(0, SeededCompletions.CachedOf(third));
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

    private static Task<string> HealthAsync(WorkerProcess worker) => worker.Client.GetStringAsync(new Uri("/health", UriKind.Relative));

    /// <summary>Fills the arena of 32 MiB with other blocks, twice over.</summary>
    private static async Task EvictAsync(KvMeshClient client, int chain)
    {
        var others = new Blocks(chain, 64 * 1024 * 1024 / Blocks.PayloadBytes);
        Assert.Equal(others.Hashes.Count, await others.PutAsync(client));
    }

    private static TestModel NewModel()
    {
        var model = new TestModel(new TestShape("system") { Vocabulary = 263 });
        File.WriteAllText(Path.Combine(model.Path, "tokenizer.json"), TokenizerFile.Of().Json().ToJsonString());
        return model;
    }

    private static Task<JsonElement> CompleteAsync(WorkerProcess worker) => worker.CompleteAsync(new JsonObject { ["prompt"] = Prompt, ["max_tokens"] = 8, ["temperature"] = 0 });
}
