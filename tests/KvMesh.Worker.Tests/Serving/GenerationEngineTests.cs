using KvMesh.TestKit;
using KvMesh.Worker.Devices.Host;
using KvMesh.Worker.Devices.Pages;
using KvMesh.Worker.Serving;

namespace KvMesh.Worker.Tests.Serving;

public sealed class GenerationEngineTests(GenerationEngineTests.Fixture fixture) : IClassFixture<GenerationEngineTests.Fixture>, IDisposable
{
    private readonly HostDevice _device = new(1L << 30);

    private static readonly ServingOptions Small = new() { CapacityBlocks = 40, MaxPassTokens = 24, MaxRunning = 6, UnreadTokens = 3 };

    [Theory]
    [InlineData(400, 512, 16)]
    [InlineData(40, 24, 6)]
    [InlineData(14, 5, 2)]
    public async Task Tokens_are_the_same_with_others_in_the_pass_and_with_a_cached_prefix(int blocks, int passTokens, int running)
    {
        await using var engine = NewEngine(new ServingOptions { CapacityBlocks = blocks, MaxPassTokens = passTokens, MaxRunning = running });

        await fixture.Requests.CompareAsync(engine, Enumerable.Range(0, SeededRequests.Count), atOnce: 12);

        await Eventually.Holds(() => engine.Figures is { Running: 0, Waiting: 0 }, "the end of the last request");
        var figures = engine.Figures;
        Assert.Equal(SeededRequests.Count, figures.Requests);
        Assert.Equal(fixture.Requests.Expected.Sum(tokens => tokens.Length), figures.GeneratedTokens);
        Assert.Equal(fixture.Requests.Requests.Sum(request => request.Prompt.Count + request.MaxTokens - 1), figures.ComputedTokens + figures.CachedTokens);
        Assert.True((blocks < 400 || figures.CachedTokens > 0) && figures.Passes < figures.ComputedTokens, $"{figures}");
    }

    [Fact]
    public async Task A_token_tells_how_much_of_the_prompt_was_cached()
    {
        await using var engine = NewEngine(Small);
        var request = new GenerationRequest { Prompt = [.. Enumerable.Range(1, 24)], MaxTokens = 2 };

        Assert.Equal("0 0", await CachedAsync(engine, request));

        // The last token's block is computed: its logits are wanted.
        Assert.Equal("16 16", await CachedAsync(engine, request));
        Assert.Equal("24 24", await CachedAsync(engine, request with { Prompt = [.. Enumerable.Range(1, 30)] }));
        Assert.Equal("0 0", await CachedAsync(engine, request with { Prompt = [.. Enumerable.Range(2, 24)] }));
    }

    [Fact]
    public async Task Nothing_follows_a_stop_token()
    {
        await using var engine = NewEngine(Small);
        var number = Array.FindIndex(fixture.Requests.Expected, tokens => tokens.Distinct().Count() > 5);
        var expected = fixture.Requests.Expected[number];

        var tokens = await SeededRequests.TokensAsync(engine, fixture.Requests.Requests[number] with { StopTokens = new HashSet<int> { expected[3] } });

        Assert.Equal(expected[..(Array.IndexOf(expected, expected[3]) + 1)], tokens);
    }

    [Fact]
    public async Task A_caller_that_does_not_read_holds_up_nobody_and_may_leave()
    {
        await using var engine = NewEngine(Small);
        var slow = engine.GenerateAsync(new GenerationRequest { Prompt = [1, 2, 3], MaxTokens = 100 }, default).GetAsyncEnumerator();
        Assert.True(await slow.MoveNextAsync());

        await fixture.Requests.CompareAsync(engine, Enumerable.Range(0, 20));
        var told = engine.Figures.GeneratedTokens - Enumerable.Range(0, 20).Sum(number => fixture.Requests.Expected[number].Length);
        Assert.True(told <= 1 + Small.UnreadTokens, $"{told} tokens were computed for a caller that read one.");

        await slow.DisposeAsync();
        await Eventually.Holds(() => engine.Figures.Running == 0, "the end of a request whose caller left");
    }

    [Fact]
    public async Task One_more_than_may_wait_is_refused_and_room_comes_back_with_a_cancellation()
    {
        await using var engine = NewEngine(Small with { MaxRunning = 1, MaxWaiting = 1 });
        var request = new GenerationRequest { Prompt = [1, 2, 3], MaxTokens = 50 };
        var first = engine.GenerateAsync(request, default).GetAsyncEnumerator();
        Assert.True(await first.MoveNextAsync());
        using var leaving = new CancellationTokenSource();
        var second = SeededRequests.TokensAsync(engine, request, leaving.Token);
        await Eventually.Holds(() => engine.Figures.Waiting == 1, "the second request waits");

        await Assert.ThrowsAsync<GenerationOverloadException>(() => SeededRequests.TokensAsync(engine, request));
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        await Eventually.Holds(() => engine.Figures.Waiting == 0, "the second request left");
        var third = SeededRequests.TokensAsync(engine, request);
        await first.DisposeAsync();

        Assert.Equal(50, (await third.Within("the third request")).Length);
        Assert.Equal(1, engine.Figures.Refused);
    }

    [Fact]
    public async Task Requests_that_can_never_run_are_refused_by_field_value_and_limit()
    {
        await using var engine = NewEngine(Small with { CapacityBlocks = 4 });
        var request = new GenerationRequest { Prompt = [1, 2, 3], MaxTokens = 1 };

        Refuses(request with { Prompt = [] }, "prompt has 0 tokens; it must have at least 1.");
        Refuses(request with { Prompt = [1, 263] }, "prompt has token 263; it must be 0 to 262.");
        Refuses(request with { MaxTokens = 0 }, "max_tokens is 0 behind a prompt of 3 tokens; it must be at least 1, and both together at most 256.");
        Refuses(request with { MaxTokens = 31 }, "max_tokens is 31 behind a prompt of 3 tokens: 5 blocks; the worker has 4.");
        void Refuses(GenerationRequest wrong, string message) => Assert.Equal(message, Assert.Throws<ArgumentException>(() => engine.GenerateAsync(wrong, default)).Message);
    }

    [Fact]
    public async Task Requests_under_way_end_with_the_worker()
    {
        var engine = NewEngine(Small);
        var reader = engine.GenerateAsync(new GenerationRequest { Prompt = [1, 2, 3], MaxTokens = 100 }, default).GetAsyncEnumerator();
        Assert.True(await reader.MoveNextAsync());

        await engine.DisposeAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            while (await reader.MoveNextAsync())
            {
            }
        });
        await reader.DisposeAsync();
    }

    public void Dispose() => _device.Dispose();

    private static async Task<string> CachedAsync(GenerationEngine engine, GenerationRequest request) =>
        string.Join(' ', await engine.GenerateAsync(request, default).Select(token => token.CachedTokens).ToListAsync());

    private GenerationEngine NewEngine(ServingOptions options)
    {
        var format = fixture.Requests.Format;
        var pages = new DevicePagePool(_device, format.BlockBytes, options.CapacityBlocks, TimeProvider.System);
        return new GenerationEngine(fixture.Requests.Model, new BlockPool(format, pages), options);
    }

    public sealed class Fixture : IDisposable
    {
        internal SeededRequests Requests { get; } = new();

        public void Dispose() => Requests.Dispose();
    }
}
