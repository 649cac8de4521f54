using System.Collections.Concurrent;
using System.Text;
using KvMesh.Server.Options;
using KvMesh.TestKit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Tests;

public sealed class OtlpTests
{
    /// <summary>Whatever runs in this process beside these tests sends its spans too.</summary>
    private const string Replaced = "replaced-while-observed";

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
        await collector.WaitForAsync("/v1/traces", "recover blocks");
        await collector.WaitForAsync("/v1/traces", "node stop");
        Assert.All(collector.Keys, key => Assert.Equal("hush", key));
    }

    [Fact]
    public async Task Both_sides_of_a_take_over_leave_a_span()
    {
        await using var collector = await Collector.StartAsync();
        using var directory = new TemporaryDirectory();
        NodeConfiguration Configuration()
        {
            var options = TestNode.Options(directory.Path);
            options.NodeId = Replaced;
            options.Telemetry.OtlpEndpoint = collector.Address;
            return NodeOptionsReader.Check(options);
        }

        var surroundings = new NodeSurroundings { NotifySocket = null, Logging = logging => logging.SetMinimumLevel(LogLevel.None) };
        await using var old = await KvMeshNode.StartAsync(Configuration(), surroundings, CancellationToken.None);
        await using var successor = await KvMeshNode.StartAsync(Configuration(), surroundings with { TakeOver = true }, CancellationToken.None);
        await old.Ended.Within("the end of the node that was replaced");
        await Eventually.Holds(() => collector.HasSpan("node hand-over", Replaced), "the span of the side that gives");
        Assert.False(collector.HasSpan("node stop", Replaced));

        await successor.StopAsync(CancellationToken.None);
        await Eventually.Holds(() => collector.HasSpan("node take-over", Replaced), "the span of the side that takes");
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

        public Task WaitForAsync(string path, string text) => Eventually.Holds(() => Has(path, text), $"a post to {path} with {text}");

        public bool Has(string path, string text) =>
            _posts.Any(post => post.Path == path && post.Body.Contains(text, StringComparison.Ordinal));

        /// <summary>Whether there was a span of that name which says first that it is of that node.</summary>
        public bool HasSpan(string name, string node) => _posts.Any(post => post.Path == "/v1/traces" && HasSpan(post.Body, name, node));

        public ValueTask DisposeAsync() => _application.DisposeAsync();

        private static bool HasSpan(string body, string name, string node)
        {
            const string Tag = "kvmesh.node.id";
            const int LengthBytes = 4;
            for (var at = body.IndexOf(name, StringComparison.Ordinal); at >= 0; at = body.IndexOf(name, at + 1, StringComparison.Ordinal))
            {
                if (body.IndexOf(Tag, at, StringComparison.Ordinal) is >= 0 and var tag
                    && body.IndexOf(node, tag, StringComparison.Ordinal) is >= 0 and var value && value - tag <= Tag.Length + LengthBytes)
                {
                    return true;
                }
            }

            return false;
        }
    }
}
