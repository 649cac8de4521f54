using System.Globalization;
using System.Net;
using System.Text.Json;
using KvMesh.Protocol.Admin;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests;

/// <summary>A real Prometheus scrapes a node and is asked what it understood.</summary>
public sealed class PrometheusTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    [Fact]
    public async Task A_real_Prometheus_scrapes_the_figures_of_a_node()
    {
        await using var node = await TestNode.StartAsync(tokens: [new TestToken("default", "scraper", "admin"), new TestToken("acme", "acme", "read", "write")]);
        await node.RespAsync("AUTH acme acme\r\nSET a hello\r\nGET a\r\nGET b\r\n", 5 + 5 + 11 + 5);
        var port = FreePort.Next();
        await using var prometheus = ChildProcess.Start(
            "/usr/bin/prometheus",
            [$"--config.file={WriteConfiguration(node)}", $"--storage.tsdb.path={_directory.Path}/data", $"--web.listen-address=127.0.0.1:{port}"]);
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = Eventually.Patience };

        await IsAnsweredAsync(http, "up{job=\"kvmesh\"}", value => value == 1);
        await IsAnsweredAsync(http, "kvmesh_tenant_blocks{kvmesh_tenant=\"acme\"}", value => value == 1);
        await IsAnsweredAsync(http, "sum(kvmesh_tier_capacity_bytes{kvmesh_tier=\"host\"})", value => value == 16 << 20);
        await IsAnsweredAsync(http, "kvmesh_block_reads_total", value => value == 2);
        await IsAnsweredAsync(http, "kvmesh_block_read_hits_total", value => value == 1);
        await IsAnsweredAsync(http, "kvmesh_operation_duration_seconds_count{kvmesh_protocol=\"resp\",kvmesh_operation=\"get\"}", value => value == 2);
        await IsAnsweredAsync(
            http, "histogram_quantile(0.5, kvmesh_operation_duration_seconds_bucket{kvmesh_protocol=\"resp\",kvmesh_operation=\"get\"})", value => value is > 1e-7 and < 60);
        await IsAnsweredAsync(http, "kvmesh_node_ready", value => value == 1);

        // What Prometheus itself says about each family: the types came through.
        using var metadata = JsonDocument.Parse(await http.GetStringAsync(new Uri("/api/v1/metadata", UriKind.Relative)));
        var types = metadata.RootElement.GetProperty("data");
        Assert.Equal("counter", types.GetProperty("kvmesh_block_reads_total")[0].GetProperty("type").GetString());
        Assert.Equal("histogram", types.GetProperty("kvmesh_operation_duration_seconds")[0].GetProperty("type").GetString());
        Assert.Equal("gauge", types.GetProperty("kvmesh_tier_used_bytes")[0].GetProperty("type").GetString());
    }

    [Fact]
    public async Task Promtool_finds_nothing_to_complain_about()
    {
        await using var node = await TestNode.StartAsync();
        await node.RespAsync("SET a hello\r\nGET a\r\n", 16);
        var file = Path.Combine(_directory.Path, "metrics.txt");
        await File.WriteAllTextAsync(file, await node.Http.GetStringAsync(AdminRoutes.Metrics));

        var (exitCode, output, error) = await ChildProcess.RunAsync("/bin/sh", ["-c", $"/usr/bin/promtool check metrics < {file}"], Eventually.Patience);

        // Exit code 3 stands for advice on names, which OpenTelemetry's rules decide; anything else is a fault of the text.
        Assert.True(exitCode is 0 or 3, $"promtool ended with {exitCode}: {output}{error}");
        Assert.DoesNotContain("error", error, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData(null, 200)]
    [InlineData("*/*", 200)]
    [InlineData("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", 200)]
    [InlineData("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3", 200)]
    [InlineData("text/*", 200)]
    [InlineData("application/json", 406)]
    [InlineData("text/plain;version=1.0.0", 406)]
    [InlineData("text/plain;q=0", 406)]
    public async Task The_version_is_negotiated(string? accept, int status)
    {
        await using var node = await TestNode.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, AdminRoutes.Metrics);
        if (accept is not null)
        {
            request.Headers.TryAddWithoutValidation("Accept", accept);
        }

        using var response = await node.Http.SendAsync(request);

        Assert.Equal(status, (int)response.StatusCode);
        if (response.StatusCode == HttpStatusCode.OK)
        {
            Assert.Equal("text/plain; version=0.0.4; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        }
    }

    public void Dispose() => _directory.Dispose();

    private string WriteConfiguration(TestNode node)
    {
        var path = Path.Combine(_directory.Path, "prometheus.yml");
        File.WriteAllText(path, $"""
            global:
              scrape_interval: 1s
              scrape_timeout: 1s
            scrape_configs:
              - job_name: kvmesh
                authorization:
                  credentials: scraper
                static_configs:
                  - targets: ["{node.Node.Endpoints.Http.Authority}"]
            """);
        return path;
    }

    /// <summary>Waits until a query has one result that is right: the first scrapes of a busy machine may come too late for Prometheus.</summary>
    private static async Task IsAnsweredAsync(HttpClient http, string query, Func<double, bool> isRight)
    {
        var path = new Uri($"/api/v1/query?query={Uri.EscapeDataString(query)}", UriKind.Relative);
        var last = "nothing";
        await Eventually.Holds(IsRightAsync, () => $"an answer of Prometheus to {query}; the last was {last}");

        async Task<bool> IsRightAsync()
        {
            try
            {
                last = await http.GetStringAsync(path);
            }
            catch (HttpRequestException failure)
            {
                // It is still starting.
                last = failure.Message;
                return false;
            }

            using var answer = JsonDocument.Parse(last);
            var result = answer.RootElement.GetProperty("data").GetProperty("result");
            return result.GetArrayLength() == 1
                && isRight(double.Parse(result[0].GetProperty("value")[1].GetString()!, CultureInfo.InvariantCulture));
        }
    }
}
