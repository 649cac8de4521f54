using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using KvMesh.TestKit;
using KvMesh.Worker.Front;
using KvMesh.Worker.Model.Sampling;

namespace KvMesh.Worker.Tests.Front;

public sealed class CompletionTests
{
    [Fact]
    public async Task The_text_is_that_of_the_tokens_that_the_model_gives()
    {
        await using var front = await FrontUnderTest.StartAsync(path => new TinyGenerator(path) { CachedTokens = 3 });
        var prompt = front.Tokenizer.Encode("hello world");
        var tokens = front.ByHand(prompt, 20, SamplingRule.Greedy);
        var answer = await front.CompleteAsync(new JsonObject { ["model"] = FrontUnderTest.ModelName, ["prompt"] = "hello world", ["max_tokens"] = 20, ["temperature"] = 0 });

        Assert.Equal("text_completion", answer.GetProperty("object").GetString());
        var choice = Assert.Single(answer.GetProperty("choices").EnumerateArray());
        Assert.Equal(front.Tokenizer.Decode(tokens), choice.GetProperty("text").GetString());
        Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
        var usage = answer.GetProperty("usage");
        Assert.Equal(prompt.Count, usage.GetProperty("prompt_tokens").GetInt32());
        Assert.Equal(20, usage.GetProperty("completion_tokens").GetInt32());
        Assert.Equal(prompt.Count + 20, usage.GetProperty("total_tokens").GetInt32());
        Assert.Equal(3, usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32());
    }

    [Fact]
    public async Task A_stream_is_the_same_text_in_pieces_and_ends_with_its_usage()
    {
        await using var front = await FrontUnderTest.StartAsync();
        for (var seed = 0; seed < 5; seed++)
        {
            var body = new JsonObject { ["prompt"] = "hello", ["max_tokens"] = 30, ["seed"] = seed, ["top_k"] = 50, ["top_p"] = 0.9, ["echo"] = true };
            var expected = front.Tokenizer.Decode(front.ByHand(front.Tokenizer.Encode("hello"), 30, new SamplingRule { Temperature = 1, TopK = 50, TopP = 0.9f, Seed = (ulong)seed }));
            var whole = await front.CompleteAsync(body.DeepClone());
            body["stream_options"] = new JsonObject { ["include_usage"] = true };
            var events = await front.StreamAsync(body);

            Assert.Equal("hello" + expected, TextOf(whole, 0));
            Assert.Equal("hello" + expected, string.Concat(events[..^1].Select(part => TextOf(part, 0))));
            Assert.All(events[..^2], part => Assert.Equal(JsonValueKind.Null, part.GetProperty("choices")[0].GetProperty("finish_reason").ValueKind));
            Assert.Equal("length", events[^2].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
            Assert.Equal(0, events[^1].GetProperty("choices").GetArrayLength());
            Assert.Equal(whole.GetProperty("usage").GetRawText(), events[^1].GetProperty("usage").GetRawText());
            Assert.Single(events.Select(part => part.GetProperty("id").GetString()).Distinct());
        }
    }

    [Fact]
    public async Task A_stop_ends_the_text_before_it()
    {
        await using var front = await FrontUnderTest.StartAsync();
        int[] prompt = [1, 2, 3, 4];
        var tokens = front.ByHand(prompt, 40, SamplingRule.Greedy);
        var text = front.Tokenizer.Decode(tokens);
        var stop = text.Substring(text.Length / 2, 2);
        var body = new JsonObject { ["prompt"] = Array(prompt), ["max_tokens"] = 40, ["temperature"] = 0, ["stop"] = new JsonArray(stop, "never there") };
        var whole = await front.CompleteAsync(body.DeepClone());
        var events = await front.StreamAsync(body);

        Assert.Equal(text[..text.IndexOf(stop, StringComparison.Ordinal)], TextOf(whole, 0));
        Assert.Equal("stop", whole.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(TextOf(whole, 0), string.Concat(events.Select(part => TextOf(part, 0))));
        Assert.Equal("stop", events[^1].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        await Eventually.Holds(() => front.Generator.Inside == 0, "the end of the generation behind the stop");
    }

    [Fact]
    public async Task A_token_that_ends_a_text_is_no_text_unless_the_caller_wants_it()
    {
        int[] prompt = [9, 8, 7];
        await using var plain = await FrontUnderTest.StartAsync();
        var tokens = plain.ByHand(prompt, 12, SamplingRule.Greedy);
        var end = tokens[5];
        var first = tokens.IndexOf(end);
        await using var front = await FrontUnderTest.StartAsync(change: options => options with { EndTokens = [end] });
        var body = new JsonObject { ["prompt"] = Array(prompt), ["max_tokens"] = 12, ["temperature"] = 0 };
        var answer = await front.CompleteAsync(body.DeepClone());
        body["ignore_eos"] = true;
        var all = await front.CompleteAsync(body);

        Assert.Equal(front.Tokenizer.Decode(tokens.Take(first)), TextOf(answer, 0));
        Assert.Equal("stop", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(first + 1, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.Equal(front.Tokenizer.Decode(tokens), TextOf(all, 0));
    }

    [Fact]
    public async Task Several_prompts_and_several_callers_each_get_their_own_answer()
    {
        await using var front = await FrontUnderTest.StartAsync();
        string[] prompts = ["hello", "world", "h€llo 😀"];
        string[] expected = [.. prompts.Select(prompt => front.Tokenizer.Decode(front.ByHand(front.Tokenizer.Encode(prompt), 10, SamplingRule.Greedy)))];
        var body = new JsonObject { ["prompt"] = new JsonArray([.. prompts.Select(prompt => JsonValue.Create(prompt))]), ["max_tokens"] = 10, ["temperature"] = 0 };
        var together = await front.CompleteAsync(body.DeepClone());
        var events = await front.StreamAsync(body);
        var alone = await Task.WhenAll(Enumerable.Range(0, 12).Select(index =>
            front.CompleteAsync(new JsonObject { ["prompt"] = prompts[index % 3], ["max_tokens"] = 10, ["temperature"] = 0 })));

        for (var index = 0; index < prompts.Length; index++)
        {
            Assert.Equal(expected[index], TextOf(together, index));
            Assert.Equal(expected[index], string.Concat(events.Select(part => part.GetProperty("choices")[0]).Where(choice => choice.GetProperty("index").GetInt32() == index)
                .Select(choice => choice.GetProperty("text").GetString())));
        }

        Assert.All(Enumerable.Range(0, alone.Length), index => Assert.Equal(expected[index % 3], TextOf(alone[index], 0)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_caller_that_hangs_up_ends_its_generation(bool isStreamed)
    {
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var front = await FrontUnderTest.StartAsync(path => new TinyGenerator(path)
        {
            BeforeToken = async (index, cancellationToken) =>
            {
                if (index == 2)
                {
                    held.TrySetResult();
                    await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
                }
            },
        });
        using var hangUp = new CancellationTokenSource();
        var post = front.PostAsync(new JsonObject { ["prompt"] = "hello", ["max_tokens"] = 20, ["stream"] = isStreamed }, hangUp.Token);
        await held.Task.Within("the third token");
        Assert.Equal(1, front.Generator.Inside);
        await hangUp.CancelAsync();
        if (isStreamed && await Record.ExceptionAsync(() => post) is null)
        {
            (await post).Dispose();
        }

        await Eventually.Holds(() => front.Generator.Inside == 0, "the end of a generation that nobody waits for");
    }

    [Fact]
    public async Task Who_comes_when_too_many_wait_is_told_when_to_come_again()
    {
        var (held, release) = (NewSignal(), NewSignal());
        await using var front = await FrontUnderTest.StartAsync(path => new TinyGenerator(path)
        {
            MaxInside = 1,
            BeforeToken = (_, cancellationToken) =>
            {
                held.TrySetResult();
                return release.Task.WaitAsync(cancellationToken);
            },
        });
        var first = front.CompleteAsync(new JsonObject { ["prompt"] = "hello" });
        await held.Task.Within("the first request");
        foreach (var isStreamed in (bool[])[false, true])
        {
            using var response = await front.PostAsync(new JsonObject { ["prompt"] = "hello", ["stream"] = isStreamed });
            Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
            Assert.Equal(TimeSpan.FromSeconds(1), response.Headers.RetryAfter?.Delta);
            Assert.Contains("no more are let in", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        release.SetResult();
        Assert.Equal(16, (await first).GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task A_generator_that_fails_is_an_error_and_in_a_stream_its_last_event()
    {
        await using var front = await FrontUnderTest.StartAsync(path => new TinyGenerator(path)
        {
            BeforeToken = (index, _) => index < 3 ? Task.CompletedTask : throw new ArithmeticException("no number"),
        });
        using var whole = await front.PostAsync(new JsonObject { ["prompt"] = "hello" });
        Assert.Equal(HttpStatusCode.InternalServerError, whole.StatusCode);
        using var stream = await front.PostAsync(new JsonObject { ["prompt"] = "hello", ["stream"] = true, ["echo"] = true });
        var text = await stream.Content.ReadAsStringAsync();
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
        Assert.Contains("server_error", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_callers_with_a_token_are_let_in_where_there_are_tokens()
    {
        await using var front = await FrontUnderTest.StartAsync(change: options => options with { Admits = token => token == "secret" });
        using var without = await front.PostAsync(new JsonObject { ["prompt"] = "hello" });
        Assert.Equal(HttpStatusCode.Unauthorized, without.StatusCode);
        Assert.Equal("Bearer", Assert.Single(without.Headers.WwwAuthenticate).Scheme);
        using var health = await front.Client.GetAsync(new Uri(FrontRoutes.Health, UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, health.StatusCode);
        front.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "secret");
        using var with = await front.PostAsync(new JsonObject { ["prompt"] = "hello" });
        Assert.Equal(HttpStatusCode.OK, with.StatusCode);
    }

    [Fact]
    public async Task Models_and_health_are_told()
    {
        var isReady = true;
        await using var front = await FrontUnderTest.StartAsync(
            change: options => options with { Health = () => new FrontHealth(isReady, [new("node", "connected")]), MetricsPage = () => "figures 1\n" });
        var models = JsonElement.Parse(await front.Client.GetStringAsync(new Uri(FrontRoutes.Models, UriKind.Relative)));
        Assert.Equal(FrontUnderTest.ModelName, Assert.Single(models.GetProperty("data").EnumerateArray()).GetProperty("id").GetString());
        Assert.Equal("""{"status":"ready","node":"connected"}""", await front.Client.GetStringAsync(new Uri(FrontRoutes.Health, UriKind.Relative)));
        Assert.Equal("figures 1\n", await front.Client.GetStringAsync(new Uri(FrontRoutes.Metrics, UriKind.Relative)));
        isReady = false;
        using var health = await front.Client.GetAsync(new Uri(FrontRoutes.Health, UriKind.Relative));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, health.StatusCode);
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static JsonArray Array(IEnumerable<int> tokens) => new([.. tokens.Select(token => JsonValue.Create(token))]);

    private static string? TextOf(JsonElement answer, int choice) => answer.GetProperty("choices")[choice].GetProperty("text").GetString();
}
