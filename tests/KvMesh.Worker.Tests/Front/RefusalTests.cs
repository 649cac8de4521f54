using System.Net;
using System.Text;
using System.Text.Json;
using KvMesh.Worker.Front;

namespace KvMesh.Worker.Tests.Front;

public sealed class RefusalTests
{
    [Theory]
    [InlineData("prompt", """{}""")]
    [InlineData("prompt", """{"prompt":null}""")]
    [InlineData("prompt", """{"prompt":7}""")]
    [InlineData("prompt", """{"prompt":""}""")]
    [InlineData("prompt", """{"prompt":[]}""")]
    [InlineData("prompt", """{"prompt":"\ud800"}""")]
    [InlineData("prompt[1]", """{"prompt":[1,263]}""")]
    [InlineData("prompt[0]", """{"prompt":[-1]}""")]
    [InlineData("prompt[1]", """{"prompt":[1,"a"]}""")]
    [InlineData("prompt[1]", """{"prompt":["a",7]}""")]
    [InlineData("prompt[0]", """{"prompt":"<|begin|>"}""")]
    [InlineData("prompt", """{"prompt":["a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a"]}""")]
    [InlineData("model", """{"prompt":"a","model":"other"}""")]
    [InlineData("model", """{"prompt":"a","model":7}""")]
    [InlineData("max_tokens", """{"prompt":"a","max_tokens":0}""")]
    [InlineData("max_tokens", """{"prompt":"a","max_tokens":1.5}""")]
    [InlineData("max_tokens", """{"prompt":"a","max_tokens":256}""")]
    [InlineData("temperature", """{"prompt":"a","temperature":2.1}""")]
    [InlineData("temperature", """{"prompt":"a","temperature":"0"}""")]
    [InlineData("top_p", """{"prompt":"a","top_p":0}""")]
    [InlineData("top_p", """{"prompt":"a","top_p":1.1}""")]
    [InlineData("top_k", """{"prompt":"a","top_k":-2}""")]
    [InlineData("seed", """{"prompt":"a","seed":"x"}""")]
    [InlineData("stop", """{"prompt":"a","stop":7}""")]
    [InlineData("stop", """{"prompt":"a","stop":""}""")]
    [InlineData("stop", """{"prompt":"a","stop":["a","b","c","d","e"]}""")]
    [InlineData("stop", """{"prompt":"a","stop":["a",null]}""")]
    [InlineData("stream", """{"prompt":"a","stream":1}""")]
    [InlineData("stream_options", """{"prompt":"a","stream_options":{"include_usage":true}}""")]
    [InlineData("stream_options.include_usage", """{"prompt":"a","stream":true,"stream_options":{"include_usage":1}}""")]
    [InlineData("stream_options.other", """{"prompt":"a","stream":true,"stream_options":{"other":1}}""")]
    [InlineData("n", """{"prompt":"a","n":2}""")]
    [InlineData("best_of", """{"prompt":"a","best_of":3}""")]
    [InlineData("echo", """{"prompt":"a","echo":"yes"}""")]
    [InlineData("logprobs", """{"prompt":"a","logprobs":1}""")]
    [InlineData("suffix", """{"prompt":"a","suffix":"b"}""")]
    [InlineData("logit_bias", """{"prompt":"a","logit_bias":{"5":1}}""")]
    [InlineData("presence_penalty", """{"prompt":"a","presence_penalty":1}""")]
    [InlineData("frequency_penalty", """{"prompt":"a","frequency_penalty":-3}""")]
    [InlineData("user", """{"prompt":"a","user":7}""")]
    [InlineData("sequence", """{"prompt":"a","sequence":"no spaces"}""")]
    [InlineData("sequence", """{"prompt":["a","b"],"sequence":"chat"}""")]
    [InlineData("ignore_eos", """{"prompt":"a","ignore_eos":0}""")]
    [InlineData("colour", """{"prompt":"a","colour":"red"}""")]
    [InlineData("body", """{"prompt":"a","prompt":"b"}""")]
    [InlineData("body", """["a"]""")]
    [InlineData("body", """{"prompt":""")]
    public async Task A_field_that_is_wrong_is_named(string field, string body)
    {
        await using var front = await FrontUnderTest.StartAsync();
        using var response = await PostAsync(front, body, "application/json");
        var error = await ErrorOf(response);

        Assert.Equal(field == "model" && body.Contains("other", StringComparison.Ordinal) ? HttpStatusCode.NotFound : HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(field, error.GetProperty("param").GetString());
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
        Assert.StartsWith($"{field} is {error.GetProperty("value").GetString()}; {error.GetProperty("limit").GetString()}", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal(0, front.Generator.Inside);
    }

    [Fact]
    public async Task What_does_not_fit_into_the_context_is_refused_and_what_just_fits_is_not()
    {
        await using var front = await FrontUnderTest.StartAsync();
        var full = string.Join(',', Enumerable.Repeat(1, front.MaxTokens));
        using var tooLong = await PostAsync(front, $$"""{"prompt":[{{full}}]}""", "application/json");
        Assert.Equal("context_length_exceeded", (await ErrorOf(tooLong)).GetProperty("code").GetString());
        var almost = string.Join(',', Enumerable.Repeat(1, front.MaxTokens - 1));
        using var fits = await PostAsync(front, $$"""{"prompt":[{{almost}}],"max_tokens":1}""", "application/json");
        Assert.Equal(HttpStatusCode.OK, fits.StatusCode);
    }

    [Fact]
    public async Task Other_types_bodies_paths_and_methods_are_refused()
    {
        await using var front = await FrontUnderTest.StartAsync(change: options => options with { MaxBodyBytes = 1000 });
        using var type = await PostAsync(front, """{"prompt":"a"}""", "text/plain");
        Assert.Equal((HttpStatusCode.UnsupportedMediaType, "Content-Type"), (type.StatusCode, (await ErrorOf(type)).GetProperty("param").GetString()));
        using var large = await PostAsync(front, $$"""{"prompt":"{{new string('a', 1000)}}"}""", "application/json");
        Assert.Equal((HttpStatusCode.RequestEntityTooLarge, "body"), (large.StatusCode, (await ErrorOf(large)).GetProperty("param").GetString()));
        using var path = await front.Client.GetAsync(new Uri("/v2", UriKind.Relative));
        Assert.Equal((HttpStatusCode.NotFound, "path"), (path.StatusCode, (await ErrorOf(path)).GetProperty("param").GetString()));
        using var method = await front.Client.GetAsync(new Uri(FrontRoutes.Completions, UriKind.Relative));
        Assert.Equal((HttpStatusCode.MethodNotAllowed, "method"), (method.StatusCode, (await ErrorOf(method)).GetProperty("param").GetString()));
        using var other = await front.Client.GetAsync(new Uri(FrontRoutes.Models + "/other", UriKind.Relative));
        Assert.Equal((HttpStatusCode.NotFound, "model"), (other.StatusCode, (await ErrorOf(other)).GetProperty("param").GetString()));
    }

    [Fact]
    public async Task A_name_that_was_pointed_here_is_refused()
    {
        await using var front = await FrontUnderTest.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, FrontRoutes.Models);
        request.Headers.Host = "evil.example";
        using var response = await front.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.MisdirectedRequest, response.StatusCode);
        Assert.Equal("Host", (await ErrorOf(response)).GetProperty("param").GetString());
    }

    private static async Task<HttpResponseMessage> PostAsync(FrontUnderTest front, string body, string type)
    {
        using var content = new StringContent(body, Encoding.UTF8, type);
        return await front.Client.PostAsync(new Uri(FrontRoutes.Completions, UriKind.Relative), content);
    }

    private static async Task<JsonElement> ErrorOf(HttpResponseMessage response) =>
        JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("error");
}
