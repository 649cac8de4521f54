using System.Net;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Reflection;
using System.Text;
using System.Text.Json;
using KvMesh.Protocol.Admin;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests;

public sealed class AdminApiTests : IAsyncLifetime
{
    private TestNode _node = null!;

    public async Task InitializeAsync() => _node = await TestNode.StartAsync();

    public async Task DisposeAsync() => await _node.DisposeAsync();

    [Fact]
    public async Task Status_tells_what_was_written_and_read()
    {
        await _node.RespAsync("SET a hello\r\nGET a\r\nGET b\r\n", "+OK\r\n$5\r\nhello\r\n$-1\r\n".Length);

        // A client has its answer before the figures have it.
        NodeStatus status = null!;
        await Eventually.Holds(
            async () => (status = await _node.GetAsync<NodeStatus>(AdminRoutes.Status)).Traffic is { Reads: 2, ReadHits: 1, ReadBytes: 5, Writes: 1 },
            () => $"two reads, one hit and one write in the figures; they are {status.Traffic}");
        Assert.True(status.IsReady);
        Assert.Equal(_node.Directory, status.DataDirectory);
        Assert.Equal(1, status.TenantCount);
        Assert.Equal(["http", "native", "native", "resp"], status.Endpoints.Select(endpoint => endpoint.Protocol).Order());
        Assert.Equal(1, status.Tiers.Single(tier => tier.Name == "host").Blocks);
        Assert.Equal(16 << 20, status.Arenas.Single().CapacityBytes);

        await Eventually.Holds(
            async () => (await _node.GetAsync<NodeStatus>(AdminRoutes.Status)).Tiers.SequenceEqual(await _node.GetAsync<IReadOnlyList<TierStatus>>(AdminRoutes.Tiers)),
            "the same tiers in both answers");
        var tenants = await _node.GetAsync<IReadOnlyList<TenantStatus>>(AdminRoutes.Tenants);
        Assert.Equal("default", Assert.Single(tenants).Name);
    }

    [Fact]
    public async Task A_block_is_shown_listed_and_removed()
    {
        await _node.RespAsync("SET a hello\r\n", 5);

        var block = await _node.GetAsync<BlockStatus>($"{AdminRoutes.Blocks}?text=a");
        Assert.Equal(("default", "YQ", "a", 5L), (block.Tenant, block.Key, block.KeyText, block.PayloadBytes));
        Assert.Equal(["host"], block.Tiers);
        Assert.Equal(block, (await _node.GetAsync<BlockStatus>($"{AdminRoutes.Blocks}?key=YQ&tenant=default")) with { Tiers = block.Tiers });

        var page = await _node.GetAsync<BlockPage>(AdminRoutes.Blocks);
        Assert.Equal("a", Assert.Single(page.Blocks).KeyText);
        Assert.Equal("0", page.NextCursor);

        using var removed = await _node.Http.DeleteAsync($"{AdminRoutes.Blocks}?text=a");
        Assert.True((await removed.Content.ReadFromJsonAsync(AdminJson.Default.RemoveResult))!.Removed);
        using var missing = await _node.Http.GetAsync($"{AdminRoutes.Blocks}?text=a");
        Assert.Equal(HttpStatusCode.NotFound, missing.StatusCode);
        using var again = await _node.Http.DeleteAsync($"{AdminRoutes.Blocks}?text=a");
        Assert.False((await again.Content.ReadFromJsonAsync(AdminJson.Default.RemoveResult))!.Removed);
    }

    [Fact]
    public async Task A_purge_removes_all_blocks_of_the_tenant()
    {
        await _node.RespAsync("SET a 1\r\nSET b 2\r\n", 10);

        using var response = await _node.Http.PostAsync(AdminRoutes.Purge, Json("{}"));

        var result = await response.Content.ReadFromJsonAsync(AdminJson.Default.PurgeResult);
        Assert.Equal(("default", 2L, 1, true), (result!.Tenant, result.RemovedBlocks, result.Nodes, result.IsTold));
        Assert.Empty(result.Behind);
        Assert.Equal("$-1\r\n", await _node.RespAsync("GET a\r\n", 5));
    }

    [Theory]
    [InlineData("""{ "modle": "llama" }""", "application/json", 400, "modle")]
    [InlineData("""{ "revision": "1" }""", "application/json", 400, "revision is 1; it needs a model")]
    [InlineData("null", "application/json", 400, "must be an object")]
    [InlineData("{", "application/json", 400, "must be an object")]
    [InlineData("{}", "text/plain", 415, "application/json")]
    [InlineData("""{ "tenant": "nobody" }""", "application/json", 404, "tenant is nobody")]
    public async Task A_purge_that_is_not_meant_so_removes_nothing(string body, string contentType, int status, string reason)
    {
        await _node.RespAsync("SET a 1\r\n", 5);

        using var response = await _node.Http.PostAsync(AdminRoutes.Purge, new StringContent(body, Encoding.UTF8, contentType));

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Contains(reason, (await ErrorOf(response)).Detail, StringComparison.Ordinal);
        Assert.Equal("$1\r\n1\r\n", await _node.RespAsync("GET a\r\n", 7));
    }

    [Theory]
    [InlineData("/api/v1/blocks?key=%2A", "key", "it must be base64url")]
    [InlineData("/api/v1/blocks?key=YQ&text=a", "key", "give either key or text, not both")]
    [InlineData("/api/v1/blocks?count=1001", "count", "it must be a whole number from 1 to 1000")]
    [InlineData("/api/v1/blocks?cursor=-1", "cursor", "it must be a whole number from 0 to 9223372036854775807")]
    [InlineData("/api/v1/history?seconds=601", "seconds", "it must be a whole number from 1 to 600")]
    [InlineData("/api/v1/prefixes?count=x", "count", "it must be a whole number from 1 to 1000")]
    public async Task A_wrong_field_is_named_with_its_value_and_limit(string path, string field, string limit)
    {
        using var response = await _node.Http.GetAsync(path);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        var error = await ErrorOf(response);
        Assert.Equal((field, limit), (error.Field, error.Limit));
        Assert.NotNull(error.Value);
    }

    [Fact]
    public async Task A_body_over_the_limit_is_refused()
    {
        using var response = await _node.Http.PostAsync(AdminRoutes.Purge, Json($$"""{ "model": "{{new string('m', 100_000)}}" }"""));

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
    }

    [Fact]
    public async Task A_connection_is_listed_and_can_be_ended()
    {
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(_node.Node.Endpoints.Resp!);
        var stream = client.GetStream();
        await stream.WriteAsync("CLIENT SETNAME probe\r\n"u8.ToArray());
        await stream.ReadExactlyAsync(new byte[5]);

        var connection = Assert.Single(await _node.GetAsync<IReadOnlyList<ConnectionStatus>>(AdminRoutes.Connections));
        Assert.Equal(("resp", "127.0.0.1", "default", "probe"), (connection.Protocol, connection.RemoteAddress, connection.Tenant, connection.ClientName));

        using var ended = await _node.Http.DeleteAsync($"{AdminRoutes.Connections}/{connection.Id}");
        Assert.Equal(HttpStatusCode.NoContent, ended.StatusCode);
        Assert.Equal(0, await stream.ReadAsync(new byte[1]).AsTask().Within("the end of the connection"));
        using var unknown = await _node.Http.DeleteAsync($"{AdminRoutes.Connections}/999999");
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
    }

    [Fact]
    public async Task Live_updates_come_once_a_second_and_fill_the_history()
    {
        using var limit = new CancellationTokenSource(Eventually.Patience);
        await using var stream = await _node.Http.GetStreamAsync(AdminRoutes.Live, limit.Token);

        var samples = new List<HistorySample>();
        await foreach (var item in SseParser.Create(stream, (_, data) => JsonSerializer.Deserialize(data, AdminJson.Default.LiveUpdate)!).EnumerateAsync(limit.Token))
        {
            Assert.Equal("update", item.EventType);
            Assert.True(item.Data.Status.IsReady);
            samples.AddRange(item.Data.Sample is { } sample ? [sample] : []);
            if (samples.Exists(entry => entry.Get is not null) && samples.Exists(entry => entry.Put is not null) && samples.Exists(entry => entry.HitRatio is not null))
            {
                break;
            }

            // Again each time: a stream on a busy machine may miss a second.
            await _node.RespAsync("SET a hello\r\nGET a\r\nGET a\r\nGET b\r\n", 5 + 11 + 11 + 5);
        }

        // The commands of one round may fall into two samples of different length, of which the second is still to come, and their times into a later one
        // than their bytes.
        HistoryStatus history = null!;
        await Eventually.Holds(
            async () =>
            {
                history = await _node.GetAsync<HistoryStatus>($"{AdminRoutes.History}?seconds=600");
                var reading = history.Samples.Where(sample => sample.HitRatio is not null).ToList();
                return reading.Sum(sample => sample.HitRatio!.Value * sample.Reads) / reading.Sum(sample => sample.Reads) is > 0.3 and < 0.95;
            },
            "hits and misses in the history");
        Assert.All(samples.Select(sample => sample.Get).OfType<LatencySample>(), get => Assert.True(get.P99Microseconds >= get.P50Microseconds));
        Assert.Equal(1, history.IntervalSeconds);
        Assert.Contains(history.Samples, sample => sample.BytesOut > 0);
        Assert.All(samples.Where(sample => sample.HitRatio is not null), sample => Assert.Contains(history.Samples, entry => entry.At == sample.At));
        Assert.Single((await _node.GetAsync<HistoryStatus>($"{AdminRoutes.History}?seconds=1")).Samples);
    }

    [Fact]
    public async Task Prefixes_group_keys_of_one_producer()
    {
        await _node.RespAsync("SET m@1@0@deadbeef@bfloat16 1\r\nSET m@1@0@feedbeef@bfloat16 2\r\nGET m@1@0@feedbeef@bfloat16\r\nSET x:1 3\r\n", 5 + 5 + 7 + 5);

        var list = await _node.GetAsync<PrefixList>(AdminRoutes.Prefixes);

        Assert.True(list.IsComplete);
        Assert.Equal(3, list.SampledBlocks);
        var lmcache = list.Prefixes.Single(prefix => prefix.Model == "m");
        Assert.Equal(("default", "m@1@0", 2L), (lmcache.Tenant, lmcache.Prefix, lmcache.Blocks));
        Assert.Equal("x", list.Prefixes.Single(prefix => prefix.Model == "").Prefix);
    }

    [Fact]
    public async Task Configuration_names_every_option_in_force()
    {
        var entries = await _node.GetAsync<IReadOnlyList<ConfigurationEntry>>(AdminRoutes.Configuration);

        Assert.Equal("16777216", entries.Single(entry => entry.Name == "Engine:ArenaBytes").Value);
        Assert.Equal("program", entries.Single(entry => entry.Name == "Engine:ArenaBytes").Source);
        Assert.Equal("8600", entries.Single(entry => entry.Name == "Http:Port").Default);
    }

    [Fact]
    public async Task The_OpenAPI_document_lists_every_route()
    {
        using var document = JsonDocument.Parse(await _node.Http.GetStringAsync(AdminRoutes.OpenApi));
        var paths = document.RootElement.GetProperty("paths").EnumerateObject().Select(path => path.Name).ToList();

        var routes = typeof(AdminRoutes).GetFields(BindingFlags.Public | BindingFlags.Static)
            .Select(field => (string)field.GetRawConstantValue()!)
            .Where(route => route != AdminRoutes.OpenApi)
            .Append(AdminRoutes.Connections + "/{id}")
            .Append(AdminRoutes.Nodes + "/{id}")
            .Append(AdminRoutes.Nodes + "/{id}/drain")
            .Concat(new[] { "{id}", "audit", "pause", "plan", "resume" }.Select(verb => $"{AdminRoutes.Orders}/{verb}"))
            .Append(AdminRoutes.Sequences + "/{name}")
            .Concat(new[] { "append", "fork", "park", "pin", "resume", "segments" }.Select(verb => $"{AdminRoutes.Sequences}/{{name}}/{verb}"));
        Assert.Equal(routes.Order(), paths.Order());

        var blocks = document.RootElement.GetProperty("paths").GetProperty(AdminRoutes.Blocks);
        Assert.True(blocks.TryGetProperty("get", out var get) && blocks.TryGetProperty("delete", out _));
        Assert.Contains("tenant", get.GetProperty("parameters").EnumerateArray().Select(parameter => parameter.GetProperty("name").GetString()));
    }

    [Fact]
    public async Task Probes_answer_and_unknown_paths_are_problems()
    {
        Assert.Equal("healthy\n", await _node.Http.GetStringAsync(AdminRoutes.Healthy));
        Assert.Equal("ready\n", await _node.Http.GetStringAsync(AdminRoutes.Ready));
        using var unknown = await _node.Http.GetAsync("/api/v1/nothing");
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Equal("path", (await ErrorOf(unknown)).Field);
        using var wrongMethod = await _node.Http.PostAsync(AdminRoutes.Status, null);
        Assert.Equal(("method", "POST", "it must be GET"), await ErrorOf(wrongMethod) is var error ? (error.Field, error.Value, error.Limit) : default);
    }

    [Theory]
    [InlineData("evil.example", 421)]
    [InlineData("127.0.0.1", 200)]
    [InlineData("[::1]", 200)]
    [InlineData("localhost", 200)]
    public async Task A_node_without_credentials_answers_to_no_name_of_a_foreign_page(string host, int status)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, AdminRoutes.Status) { Headers = { Host = host } };
        using var response = await _node.Http.SendAsync(request);

        Assert.Equal(status, (int)response.StatusCode);
    }

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    private static async Task<ErrorBody> ErrorOf(HttpResponseMessage response) =>
        (await response.Content.ReadFromJsonAsync<ErrorBody>(AdminJson.Default.Options))!;
}
