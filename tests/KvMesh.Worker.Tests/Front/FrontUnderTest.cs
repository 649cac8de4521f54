using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using KvMesh.Worker.Front;
using KvMesh.Worker.Model.Sampling;
using KvMesh.Worker.Model.Text;
using KvMesh.Worker.Tests.Model;

namespace KvMesh.Worker.Tests.Front;

/// <summary>A front on a loopback port, with a small model behind it and a client before it.</summary>
internal sealed class FrontUnderTest : IAsyncDisposable
{
    public const string ModelName = "tiny";

    private readonly TestModel _model = new(Shapes.Grouped with { Vocabulary = 256 + 7 });
    private readonly Meter _meter = new("KvMesh.Worker.Tests");
    private WorkerFront? _front;

    private FrontUnderTest(Func<string, TinyGenerator> generator)
    {
        var file = TokenizerFile.Of("h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or");
        File.WriteAllText(Path.Combine(_model.Path, "tokenizer.json"), file.Json().ToJsonString());
        Tokenizer = Tokenizer.Read(Path.Combine(_model.Path, "tokenizer.json"));
        Generator = generator(_model.Path);
    }

    public TinyGenerator Generator { get; }

    public Tokenizer Tokenizer { get; }

    public HttpClient Client { get; } = new() { Timeout = Timeout.InfiniteTimeSpan };

    public int MaxTokens => _model.Shape.MaxTokens;

    public int Vocabulary => _model.Shape.Vocabulary;

    public static async Task<FrontUnderTest> StartAsync(Func<string, TinyGenerator>? generator = null, Func<FrontOptions, FrontOptions>? change = null)
    {
        var front = new FrontUnderTest(generator ?? (path => new TinyGenerator(path)));
        var options = new FrontOptions
        {
            Listen = new IPEndPoint(IPAddress.Loopback, 0),
            ModelName = ModelName,
            MaxTokens = front.MaxTokens,
            Vocabulary = front.Vocabulary,
            Meter = front._meter,
        };
        front._front = await WorkerFront.StartAsync(change?.Invoke(options) ?? options, front.Generator, front.Tokenizer, null, CancellationToken.None);
        front.Client.BaseAddress = front._front.Address;
        return front;
    }

    /// <summary>Tokens behind a prompt, each computed from all before it.</summary>
    public List<int> ByHand(IReadOnlyList<int> prompt, int count, SamplingRule rule)
    {
        using var run = new ModelRun(_model.Path, threads: 1);
        var tokens = prompt.ToList();
        while (tokens.Count < prompt.Count + count)
        {
            tokens.Add(TokenSampler.Choose(run.Logits([.. tokens])[^1], rule, tokens.Count));
        }

        return tokens[prompt.Count..];
    }

    public Task<HttpResponseMessage> PostAsync(JsonNode body, CancellationToken cancellationToken = default) =>
        Client.SendAsync(
            new HttpRequestMessage(HttpMethod.Post, FrontRoutes.Completions) { Content = JsonContent.Create(body) }, HttpCompletionOption.ResponseHeadersRead, cancellationToken);

    public async Task<JsonElement> CompleteAsync(JsonNode body)
    {
        using var response = await PostAsync(body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonElement.Parse(text);
    }

    /// <summary>The events of a stream, without its end, which must be there.</summary>
    public async Task<List<JsonElement>> StreamAsync(JsonObject body)
    {
        body["stream"] = true;
        using var response = await PostAsync(body);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        var events = (await response.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.All(events, line => Assert.StartsWith("data: ", line));
        Assert.Equal("data: [DONE]", events[^1]);
        return [.. events[..^1].Select(line => JsonElement.Parse(line["data: ".Length..]))];
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        if (_front is not null)
        {
            await _front.DisposeAsync();
        }

        Generator.Dispose();
        _meter.Dispose();
        _model.Dispose();
    }
}
