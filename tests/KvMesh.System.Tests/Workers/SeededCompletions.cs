using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using KvMesh.TestKit;
using KvMesh.Worker.Tests.Model;

namespace KvMesh.System.Tests.Workers;

/// <summary>
/// A small random model of which each token is one letter, so that a text is its tokens, and requests whose prompts share beginnings. What they must be answered
/// is asked of a worker without a node whose blocks are longer than any request: it keeps nothing. IDENTITY_REQUESTS sets how many there are.
/// </summary>
public sealed class SeededCompletions : IAsyncLifetime
{
    /// <summary>Tokens of a block of the workers that are compared.</summary>
    public const int BlockTokens = 16;

    private const int Positions = 256;

    private readonly ConcurrentDictionary<string, string> _expected = new();
    private WorkerProcess _plain = null!;

    public int Count { get; } = int.Parse(Environment.GetEnvironmentVariable("IDENTITY_REQUESTS") ?? "8", CultureInfo.InvariantCulture);

    internal TestModel Model { get; } = NewModel();

    public async Task InitializeAsync() => _plain = await WorkerProcess.StartAsync(Model, "--block-tokens", $"{Positions}", "--cache", "1MiB");

    public async Task DisposeAsync()
    {
        await _plain.DisposeAsync();
        Model.Dispose();
    }

    /// <summary>A request, the same for the same number: greedy or sampled by seed, of 80 to 208 tokens with the answer.</summary>
    public JsonObject Request(int number)
    {
        var random = new Random(number);
        int[] prompt = [.. Model.Tokens(96, 1000 + (number % 5))[..(48 + random.Next(49))], .. Model.Tokens(24 + random.Next(57), number)];
        return Of(prompt, 8 + random.Next(25), random.Next(3) == 0 ? 0 : 0.5 + random.NextDouble(), number);
    }

    /// <summary>A request that goes on with the tokens of an answered one, with <paramref name="further"/> tokens behind them.</summary>
    public JsonObject Following(JsonObject request, string answer, int further)
    {
        var number = request["seed"]!.GetValue<int>();
        int[] prompt = [.. request["prompt"]!.AsArray().Select(token => token!.GetValue<int>()), .. answer.Select(letter => (int)letter), .. Model.Tokens(further, 5000 + number)];
        return Of(prompt, 12, request["temperature"]!.GetValue<double>(), number);
    }

    /// <summary>Sends a request and compares its answer with what it must be. Returns the answer's text, and how many tokens of the prompt were not computed for it.</summary>
    internal async Task<(string Text, int Cached)> CompareAsync(WorkerProcess worker, JsonObject request)
    {
        var expected = await ExpectedAsync(request);
        var answer = await worker.CompleteAsync(request);
        var text = TextOf(answer);
        Assert.True(expected == text, $"{request.ToJsonString()} is answered {JsonSerializer.Serialize(text)}; without a cache it is {JsonSerializer.Serialize(expected)}.");
        return (text, CachedOf(answer));
    }

    /// <summary>As <see cref="CompareAsync(WorkerProcess, JsonObject)"/>, the requests of these numbers, some at a time. Returns the cached tokens of each.</summary>
    internal async Task<int[]> CompareAsync(WorkerProcess worker, IEnumerable<int> numbers, int atOnce)
    {
        var cached = new ConcurrentBag<int>();
        await Parallel.ForEachAsync(
            numbers, new ParallelOptions { MaxDegreeOfParallelism = atOnce }, async (number, _) => cached.Add((await CompareAsync(worker, Request(number))).Cached));
        return [.. cached];
    }

    /// <summary>Goes on, with further requests, until a figure of the worker is above 0: what a stalled machine made impossible once comes about later.</summary>
    internal Task CompareUntilAsync(WorkerProcess worker, string metric)
    {
        var number = Count;
        return Eventually.Holds(
            async () =>
            {
                await CompareAsync(worker, Request(number++));
                return await worker.ReadAsync(metric) > 0;
            },
            $"{metric} above 0");
    }

    /// <summary>What a request must be answered: computed once, with nothing kept.</summary>
    internal async Task<string> ExpectedAsync(JsonObject request)
    {
        var key = request.ToJsonString();
        if (_expected.TryGetValue(key, out var known))
        {
            return known;
        }

        // The name of a sequence says nothing about the tokens, and this worker has no node that knows it.
        var plain = (JsonObject)request.DeepClone();
        plain.Remove("sequence");
        var answer = await _plain.CompleteAsync(plain);
        Assert.Equal(0, CachedOf(answer));
        Assert.Equal(request["max_tokens"]!.GetValue<int>(), TextOf(answer).Length);
        return _expected[key] = TextOf(answer);
    }

    internal static int CachedOf(JsonElement answer) => answer.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();

    internal static string TextOf(JsonElement answer) => answer.GetProperty("choices")[0].GetProperty("text").GetString()!;

    private static JsonObject Of(int[] prompt, int maxTokens, double temperature, int seed) => new()
    {
        ["prompt"] = new JsonArray([.. prompt.Select(token => (JsonNode)token)]),
        ["max_tokens"] = maxTokens,
        ["temperature"] = temperature,
        ["top_k"] = seed % 2 * 40,
        ["top_p"] = seed % 3 == 0 ? 0.9 : 1,
        ["seed"] = seed,
        ["ignore_eos"] = true,
    };

    private static TestModel NewModel()
    {
        var model = new TestModel(new TestShape("letters")
        {
            Vocabulary = 128,
            Hidden = 96,
            Heads = 6,
            KvHeads = 2,
            HeadChannels = 24,
            Intermediate = 208,
            Layers = 4,
            MaxTokens = Positions,
            Element = "BF16",
        });
        File.WriteAllText(Path.Combine(model.Path, "tokenizer.json"), TokenizerFile.Of().Json().ToJsonString());
        return model;
    }
}
