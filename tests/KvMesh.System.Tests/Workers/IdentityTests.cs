using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using KvMesh.TestKit;

namespace KvMesh.System.Tests.Workers;

/// <summary>
/// Wherever keys and values come from, and whoever dies meanwhile, a request has the tokens that it has without any cache. Nodes, workers and Redis are processes.
/// </summary>
[Trait("Category", "System")]
public sealed class IdentityTests(SeededCompletions requests) : IClassFixture<SeededCompletions>
{
    private const string Delegated = "kvmesh_worker_delegated_prompts_total";
    private const string Failed = "kvmesh_worker_failed_delegations_total";

    [Fact]
    public async Task With_blocks_of_its_own_cache()
    {
        await using var worker = await WorkerProcess.StartAsync(requests.Model);
        await requests.CompareAsync(worker, Enumerable.Range(0, requests.Count), atOnce: 4);

        var cached = await requests.CompareAsync(worker, Enumerable.Range(0, requests.Count), atOnce: 4);

        Assert.All(cached, tokens => Assert.True(tokens >= SeededCompletions.BlockTokens, $"{tokens} cached tokens"));
    }

    [Fact]
    public async Task With_prompts_that_a_prefill_worker_at_another_node_computes()
    {
        await using var mesh = await PlacementMesh.StartAsync();
        var (a, b) = (await mesh.JoinAsync("a"), await mesh.JoinAsync("b"));
        await using var prefill = await WorkerProcess.StartAtAsync(a, requests.Model, "--role", "prefill");
        await using var decode = await WorkerProcess.StartAtAsync(b, requests.Model, "--role", "decode", "--prefill", $"{prefill.Address}");

        await requests.CompareAsync(decode, Enumerable.Range(0, requests.Count), atOnce: 2);

        await requests.CompareUntilAsync(decode, Delegated);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("lastHash")]
    public async Task When_the_prefill_worker_is_killed_with_prompts_under_way(string? behind)
    {
        const int AtOnce = 4;
        using var folders = new NodeFolders();
        folders.WaitForBlocks("30s");
        await using var node = await NodeProcess.StartAsync(folders, "--arena", "64MiB");
        foreach (var numbers in Enumerable.Range(0, requests.Count).Where(number => number % 2 == (behind is null ? 0 : 1)).Chunk(AtOnce))
        {
            // Blocks of other rounds are others: each round has all its prompts computed.
            string[] round = ["--revision", $"{behind}-{numbers[0]}"];
            await using var prefill = await WorkerProcess.StartAtAsync(node, requests.Model, ["--role", "prefill", .. round]);
            await using var relay = new AnswerRelay(prefill.Address, behind, prefill.Process.KillAsync);
            await using var decode = await WorkerProcess.StartAtAsync(node, requests.Model, ["--role", "decode", "--prefill", $"{relay.Address}", .. round]);

            await requests.CompareAsync(decode, numbers, AtOnce);

            Assert.True(relay.HasActed, "the prefill worker was never asked");
            var (delegated, failed) = (await decode.ReadAsync(Delegated), await decode.ReadAsync(Failed));
            Assert.True(failed > 0 || (behind is not null && delegated > 0), $"{delegated} prompts delegated, {failed} failed");
        }
    }

    [Fact]
    public async Task When_a_decode_worker_is_killed_in_the_middle_of_an_answer_and_another_one_is_asked()
    {
        using var folders = new NodeFolders();
        folders.WaitForBlocks("30s");
        await using var node = await NodeProcess.StartAsync(folders, "--arena", "64MiB");
        await using var prefill = await WorkerProcess.StartAtAsync(node, requests.Model, "--role", "prefill");
        string[] role = ["--role", "decode", "--prefill", $"{prefill.Address}"];
        await using var first = await WorkerProcess.StartAtAsync(node, requests.Model, role);
        await using var second = await WorkerProcess.StartAtAsync(node, requests.Model, role);
        var request = requests.Request(0);
        var expected = await requests.ExpectedAsync(request);

        var begun = await ReadUntilKilledAsync(first, request);

        Assert.StartsWith(begun, expected, StringComparison.Ordinal);
        Assert.NotEmpty(begun);
        await requests.CompareAsync(second, request);
        await requests.CompareAsync(second, Enumerable.Range(1, requests.Count - 1), atOnce: 4);
    }

    /// <summary>Reads an answer as a stream and kills the worker behind its first piece. Returns the text that came.</summary>
    private static async Task<string> ReadUntilKilledAsync(WorkerProcess worker, JsonObject request)
    {
        var streamed = (JsonObject)request.DeepClone();
        streamed["stream"] = true;
        using var message = new HttpRequestMessage(HttpMethod.Post, new Uri("/v1/completions", UriKind.Relative)) { Content = JsonContent.Create(streamed) };
        using var response = await worker.Client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
        response.EnsureSuccessStatusCode();
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        var text = new StringBuilder();
        try
        {
            while (await lines.ReadLineAsync() is { } line)
            {
                if (line.StartsWith("data: {", StringComparison.Ordinal))
                {
                    text.Append(SeededCompletions.TextOf(JsonElement.Parse(line["data: ".Length..])));
                    await worker.Process.KillAsync();
                }
            }
        }
        catch (Exception lost) when (lost is IOException or HttpRequestException)
        {
            // The connection ends with the worker.
        }

        Assert.True(worker.Process.HasExited);
        return text.ToString();
    }
}
