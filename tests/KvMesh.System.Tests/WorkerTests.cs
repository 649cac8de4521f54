using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
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
        await using var worker = await StartAsync(model);
        var first = await CompleteAsync(worker);
        var second = await CompleteAsync(worker);
        Assert.Equal(0, CachedTokens(first));
        Assert.True(CachedTokens(second) > 0);
        Assert.Equal(TextOf(first), TextOf(second));
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
        await using var one = await StartAsync(model, "--node", node.Addresses.NativeEndpoint);
        await using var other = await StartAsync(model, "--node", node.Addresses.NativeEndpoint);
        await Eventually.Holds(async () => await IsConnectedAsync(one) && await IsConnectedAsync(other), "both workers at their node");
        var first = await CompleteAsync(one);

        // Blocks are published behind the answer: the same prompt comes until they are there, each time with another beginning of its own cache.
        var second = first;
        await Eventually.Holds(async () =>
        {
            await using var fresh = await StartAsync(model, "--node", node.Addresses.NativeEndpoint);
            await Eventually.Holds(() => IsConnectedAsync(fresh), "a fresh worker at its node");
            second = await CompleteAsync(fresh);
            return CachedTokens(second) > 0;
        }, "a prompt whose blocks came from the node");
        Assert.Equal(TextOf(first), TextOf(second));
        Assert.Equal(TextOf(first), TextOf(await CompleteAsync(other)));
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

    private static async Task<WorkerProcess> StartAsync(TestModel model, params string[] arguments)
    {
        var process = NodeProcess.Run(["worker", "--json", "--model", model.Path, "--http", "127.0.0.1:0", "--name", "tiny", "--threads", "1", .. arguments]);
        try
        {
            var line = await process.WaitForLineAsync(text => text.StartsWith('{'), "the line with the address", Eventually.Patience);
            return new WorkerProcess(process, new Uri(JsonElement.Parse(line).GetProperty("http").GetString()!));
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    private static async Task<bool> IsConnectedAsync(WorkerProcess worker) =>
        (await worker.Client.GetStringAsync(new Uri("/health", UriKind.Relative))).Contains("\"node\":\"reached\"", StringComparison.Ordinal);

    private static async Task<JsonElement> CompleteAsync(WorkerProcess worker)
    {
        using var response = await worker.Client.PostAsJsonAsync(
            new Uri("/v1/completions", UriKind.Relative), new JsonObject { ["prompt"] = Prompt, ["max_tokens"] = 8, ["temperature"] = 0 });
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return JsonElement.Parse(text);
    }

    private static int CachedTokens(JsonElement answer) => answer.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();

    private static string? TextOf(JsonElement answer) => answer.GetProperty("choices")[0].GetProperty("text").GetString();

    private sealed class WorkerProcess(ChildProcess process, Uri address) : IAsyncDisposable
    {
        public HttpClient Client { get; } = new() { BaseAddress = address, Timeout = Eventually.Patience };

        public async Task<int> StopAsync()
        {
            await process.SignalAsync("TERM");
            return await process.WaitForExitAsync(Eventually.Patience);
        }

        public ValueTask DisposeAsync()
        {
            Client.Dispose();
            return process.DisposeAsync();
        }
    }
}
