using System.Net;
using System.Text;
using KvMesh.Client.Admin;

namespace KvMesh.Client.Tests.Admin;

/// <summary>What the client makes of answers, good and bad; it meets a node in the tests of the server.</summary>
public sealed class AdminClientTests
{
    private const string Sample =
        """{"at":1000,"tiers":[],"hitRatio":null,"matchRatio":null,"bytesIn":1,"bytesOut":2,"reads":0,"writes":0,"evictions":0,"get":null,"put":null,"connections":0,"mismatches":0}""";

    private static readonly string Update = $$"""{"status":null,"sample":{{Sample}}}""";

    [Fact]
    public async Task A_refusal_carries_the_words_of_the_node()
    {
        using var admin = Answering(HttpStatusCode.BadRequest, "application/problem+json",
            """{"title":"The request is wrong","status":400,"detail":"count is 0; 1 to 1000.","field":"count","value":"0","limit":"1 to 1000"}""");

        var refusal = await Assert.ThrowsAsync<AdminRefusedException>(() => admin.GetPrefixesAsync(0, CancellationToken.None));

        Assert.Equal("count is 0; 1 to 1000.", refusal.Message);
        Assert.Equal("count", refusal.Error!.Field);
        Assert.Equal(HttpStatusCode.BadRequest, refusal.StatusCode);
        Assert.False(refusal.NeedsToken);
    }

    [Theory]
    [InlineData("text/html", "<h1>Bad gateway</h1>")]
    [InlineData("application/json", "not json")]
    [InlineData("application/json", "")]
    public async Task A_refusal_in_another_form_still_has_its_status(string type, string body)
    {
        using var admin = Answering(HttpStatusCode.Unauthorized, type, body);

        var refusal = await Assert.ThrowsAsync<AdminRefusedException>(() => admin.GetStatusAsync(CancellationToken.None));

        Assert.True(refusal.NeedsToken);
        Assert.Null(refusal.Error);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("<html>")]
    [InlineData("{\"nodeId\":")]
    public async Task An_answer_that_is_no_node_is_an_error_of_the_connection(string body)
    {
        using var admin = Answering(HttpStatusCode.OK, "application/json", body);

        await Assert.ThrowsAsync<IOException>(() => admin.GetStatusAsync(CancellationToken.None));
    }

    [Fact]
    public async Task A_block_that_is_not_there_is_null()
    {
        using var admin = Answering(HttpStatusCode.NotFound, "application/problem+json", "{}");

        Assert.Null(await admin.FindBlockAsync("tenant", "a2V5", CancellationToken.None));
        Assert.False(await admin.RemoveBlockAsync(null, "a2V5", CancellationToken.None));
        Assert.False(await admin.EndConnectionAsync(7, CancellationToken.None));
    }

    [Fact]
    public void A_client_needs_the_address_of_its_node() =>
        Assert.Throws<ArgumentException>(() => new AdminClient(new HttpClient()));

    [Fact]
    public async Task Updates_are_taken_out_of_the_stream_whatever_else_is_in_it()
    {
        var stream = $": a comment\n\nevent: other\ndata: {{}}\n\nevent: update\r\nid: 7\r\ndata:{Update[..20]}\r\ndata: {Update[20..]}\r\n\r\nevent: update\ndata: {Update}\n\n";
        using var admin = Answering(HttpStatusCode.OK, "text/event-stream", stream);

        var updates = await admin.WatchAsync(CancellationToken.None).ToListAsync();

        Assert.Equal([1000, 1000], updates.Select(update => update.Sample!.At));
    }

    [Fact]
    public async Task An_event_that_was_cut_off_is_not_an_update()
    {
        using var admin = Answering(HttpStatusCode.OK, "text/event-stream", $"event: update\ndata: {Update}\n");

        Assert.Empty(await admin.WatchAsync(CancellationToken.None).ToListAsync());
    }

    [Fact]
    public async Task An_event_without_end_is_refused()
    {
        using var admin = Answering(HttpStatusCode.OK, "text/event-stream", $"data: {new string('x', (1 << 20) + 1)}\n\n");

        await Assert.ThrowsAsync<IOException>(async () => await admin.WatchAsync(CancellationToken.None).ToListAsync());
    }

    private static AdminClient Answering(HttpStatusCode status, string type, string body) =>
        new(new HttpClient(new Answer(status, type, body)) { BaseAddress = new Uri("http://node.test/") });

    private sealed class Answer(HttpStatusCode status, string type, string body) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(new HttpResponseMessage(status)
            {
                RequestMessage = request,
                Content = new StringContent(body, Encoding.UTF8, type),
            });
    }
}
