using System.Collections.Concurrent;
using System.Text;
using KvMesh.TestKit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Tests;

public sealed class OtlpTests
{
    [Fact]
    public async Task Metrics_and_traces_reach_a_collector()
    {
        await using var collector = await Collector.StartAsync();
        await using (var node = await TestNode.StartAsync(options =>
        {
            options.Telemetry.OtlpEndpoint = collector.Address;
            options.Telemetry.OtlpHeaders = "x-key=hush";
            options.Telemetry.OtlpInterval = TimeSpan.FromSeconds(1);
        }))
        {
            await node.RespAsync("SET a hello\r\n", 5);
            await collector.WaitForAsync("/v1/metrics", "kvmesh.tier.used");
            await collector.WaitForAsync("/v1/metrics", "kvmesh.operation.duration");
        }

        // Spans are sent in batches, the last one when the exporter ends.
        await collector.WaitForAsync("/v1/traces", "node start");
        await collector.WaitForAsync("/v1/traces", "node stop");
        Assert.All(collector.Keys, key => Assert.Equal("hush", key));
    }

    /// <summary>An HTTP server that keeps what is posted to it.</summary>
    private sealed class Collector : IAsyncDisposable
    {
        private readonly ConcurrentQueue<(string Path, string Body)> _posts = new();
        private readonly WebApplication _application;

        private Collector()
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            _application = builder.Build();
            _application.MapPost("/{**path}", async (HttpRequest request) =>
            {
                using var body = new MemoryStream();
                await request.Body.CopyToAsync(body);
                Keys.Enqueue(request.Headers["x-key"].ToString());
                _posts.Enqueue((request.Path, Encoding.Latin1.GetString(body.ToArray())));
            });
        }

        public ConcurrentQueue<string> Keys { get; } = new();

        public string Address => _application.Urls.First();

        public static async Task<Collector> StartAsync()
        {
            var collector = new Collector();
            await collector._application.StartAsync();
            return collector;
        }

        public Task WaitForAsync(string path, string text) => Eventually.Holds(
            () => _posts.Any(post => post.Path == path && post.Body.Contains(text, StringComparison.Ordinal)), $"a post to {path} with {text}");

        public ValueTask DisposeAsync() => _application.DisposeAsync();
    }
}
