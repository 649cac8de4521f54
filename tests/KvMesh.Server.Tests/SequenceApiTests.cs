using System.Net;
using System.Net.Http.Json;
using System.Text;
using KvMesh.Client.Admin;
using KvMesh.Protocol.Admin;
using KvMesh.Server.Options;
using KvMesh.TestKit;
using KvMesh.TestKit.Sequences;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Tests;

/// <summary>Sequences over HTTP, on a whole node.</summary>
public sealed class SequenceApiTests
{
    [Fact]
    public async Task A_session_from_its_first_turn_to_its_end()
    {
        await using var node = await TestNode.StartAsync();
        using var admin = PatientAdmin.Of(node.Node.Endpoints.Http);
        var opened = await admin.OpenSequenceAsync(null, new SequenceOpenRequest("chat", "llama", "r1", Holder: "me", IdleLimitSeconds: 600), default);
        Assert.Equal(("default", "active", "llama", "r1", 600.0), (opened.Tenant, opened.State, opened.Model, opened.Revision, opened.IdleLimitSeconds));
        await admin.AppendSegmentAsync(null, "chat", Append(opened.Epoch, 0, "a1"), default);
        Assert.True((await admin.AppendSegmentAsync(null, "chat", Append(opened.Epoch, 0, "a1"), default)).IsRepetition);
        await admin.AppendSegmentAsync(null, "chat", Append(opened.Epoch, 4), default);

        var fork = await admin.ForkSequenceAsync(null, "chat", new SequenceForkRequest("side", 6, $"{SequenceCommands.Hash(6)}"), default);
        Assert.Equal(("chat", 6, 2), (fork.Origin!.Name, fork.Blocks, fork.Segments));
        Assert.Equal("pending", (await admin.PinSequenceAsync(null, "chat", new SequencePinRequest(2, 60), default)).Pin!.State);
        Assert.Equal("parked", (await admin.ParkSequenceAsync(null, "chat", new SequenceParkRequest("node-3", 30), default)).State);
        var resumed = await admin.ResumeSequenceAsync(null, "chat", new SequenceResumeRequest("node-3"), default);
        Assert.True(resumed.Epoch > opened.Epoch);
        Assert.Equal("node-3", resumed.Holder);

        var segments = await admin.GetSegmentsAsync(null, "side", 0, 10, default);
        Assert.Equal([4L, 2L], segments.Segments.Select(segment => segment.Blocks));
        Assert.Equal(["chat", "side"], (await admin.ListSequencesAsync(null, null, 10, default)).Sequences.Select(each => each.Name));
        Assert.Equal("side", (await admin.ListSequencesAsync(null, "chat", 10, default)).Sequences.Single().Name);
        Assert.Equal("closed", (await admin.CloseSequenceAsync(null, "chat", resumed.Epoch, default)).State);
        Assert.Equal("side", (await admin.ListSequencesAsync(null, null, 10, default)).Sequences.Single().Name);
    }

    [Fact]
    public async Task What_is_asked_of_sequences_and_what_they_take_is_measured()
    {
        await using var node = await TestNode.StartAsync(options =>
        {
            options.Sequences.MaxSequences = 4;
            options.Placement.Step = TimeSpan.FromMilliseconds(100);
        });

        // Whoever plans placement reads through all sequences by itself, which nobody asked the node for.
        await Eventually.Holds(
            async () => PlansOf(await node.Http.GetStringAsync(AdminRoutes.Metrics)) >= 3, "plans, before each of which sequences were read");
        using var admin = PatientAdmin.Of(node.Node.Endpoints.Http);
        var epoch = (await admin.OpenSequenceAsync(null, new SequenceOpenRequest("chat", "llama"), default)).Epoch;
        await admin.AppendSegmentAsync(null, "chat", Append(epoch, 0, "a1"), default);
        await admin.AppendSegmentAsync(null, "chat", Append(epoch, 0, "a1"), default);
        await Assert.ThrowsAsync<AdminRefusedException>(() => admin.AppendSegmentAsync(null, "chat", Append(epoch - 1, 4), default));
        await admin.ListSequencesAsync(null, null, 10, default);

        // The books follow the commands within a report.
        string[] expected =
        [
            """kvmesh_sequence_operations_total{kvmesh_operation="open",kvmesh_outcome="done"} 1""",
            """kvmesh_sequence_operations_total{kvmesh_operation="append",kvmesh_outcome="done"} 1""",
            """kvmesh_sequence_operations_total{kvmesh_operation="append",kvmesh_outcome="repeated"} 1""",
            """kvmesh_sequence_operations_total{kvmesh_operation="append",kvmesh_outcome="stale_epoch"} 1""",
            """kvmesh_sequence_operations_total{kvmesh_operation="list",kvmesh_outcome="done"} 1""",
            """kvmesh_sequence_open{kvmesh_tenant="default"} 1""",
            """kvmesh_sequence_segments{kvmesh_tenant="default"} 1""",
            """kvmesh_sequence_quota_used_ratio{kvmesh_quota="sequences",kvmesh_tenant="default"} 0.25""",
        ];
        var missing = expected;
        await Eventually.Holds(
            async () =>
            {
                var text = await node.Http.GetStringAsync(AdminRoutes.Metrics);
                missing = [.. expected.Where(line => !text.Contains(line + "\n", StringComparison.Ordinal))];
                return missing.Length == 0;
            },
            () => $"the figures {string.Join(", ", missing)}");
    }

    [Fact]
    public async Task Sequences_outlive_the_node()
    {
        using var directory = new TemporaryDirectory();
        var epoch = 0L;
        await using (var first = await StartAsync(directory.Path))
        {
            using var admin = PatientAdmin.Of(first.Endpoints.Http);
            epoch = (await admin.OpenSequenceAsync(null, new SequenceOpenRequest("chat", "llama"), default)).Epoch;
            await admin.AppendSegmentAsync(null, "chat", Append(epoch, 0), default);
        }

        await using var second = await StartAsync(directory.Path);
        using var later = PatientAdmin.Of(second.Endpoints.Http);
        Assert.Equal((4, epoch), ((await later.GetSequenceAsync(null, "chat", default)).Blocks, (await later.GetSequenceAsync(null, "chat", default)).Epoch));
        Assert.Equal(8, (await later.AppendSegmentAsync(null, "chat", Append(epoch, 4), default)).Blocks);
        Assert.Single((await later.ListSequencesAsync(null, null, 10, default)).Sequences);
    }

    [Theory]
    [InlineData("", """{"name":"a/b","model":"m"}""", 400, "name")]
    [InlineData("", """{"name":"a"}""", 400, "model")]
    [InlineData("", """{"name":"a","model":"m","layoutHash":"12"}""", 400, "layoutHash")]
    [InlineData("", """{"name":"a","model":"m","parts":0}""", 400, "parts")]
    [InlineData("", """{"name":"a","model":"m","idleLimitSeconds":-1}""", 400, "idleLimitSeconds")]
    [InlineData("", """{"name":"a","model":"m","idleLimitSeconds":0.5}""", 400, "idleLimit")]
    [InlineData("", """{"name":"a","model":"m","color":"red"}""", 400, "color")]
    [InlineData("", "[", 400, "openapi")]
    [InlineData("", "null", 400, "body")]
    [InlineData("/chat/append", """{"epoch":1,"blocks":4,"tokens":1,"bytes":1,"firstHash":"zz","lastHash":"zz"}""", 400, "firstHash")]
    [InlineData("/chat/pin", """{"replicas":2}""", 400, "seconds")]
    [InlineData("/chat/pin", """{"replicas":99,"seconds":5}""", 400, "replicas")]
    [InlineData("/chat/resume", """{"requestId":"xyz"}""", 400, "requestId")]
    [InlineData("/nothing/park", "{}", 404, "no such sequence")]
    [InlineData("/chat/fork", """{"target":"chat","blocks":0}""", 409, "exists")]
    public async Task What_is_wrong_is_told_by_name(string path, string body, int status, string text)
    {
        await using var node = await TestNode.StartAsync();
        using var admin = PatientAdmin.Of(node.Node.Endpoints.Http);
        await admin.OpenSequenceAsync(null, new SequenceOpenRequest("chat", "llama"), default);
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await node.Http.PostAsync(new Uri(AdminRoutes.Sequences + path, UriKind.Relative), content);
        var error = await response.Content.ReadFromJsonAsync(AdminJson.Default.ErrorBody);
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Contains(text, error!.Detail, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_tenant_reaches_only_its_own_and_an_admin_all()
    {
        await using var node = await TestNode.StartAsync(tokens:
        [
            new TestToken("red", "red-token", ["read", "write"]), new TestToken("blue", "blue-token", ["read"]), new TestToken("blue", "boss", ["admin", "read", "write"]),
        ]);
        using var red = PatientAdmin.Of(node.Node.Endpoints.Http, "red-token");
        using var blue = PatientAdmin.Of(node.Node.Endpoints.Http, "blue-token");
        using var boss = PatientAdmin.Of(node.Node.Endpoints.Http, "boss");
        await red.OpenSequenceAsync(null, new SequenceOpenRequest("chat", "llama"), default);

        Assert.Equal(HttpStatusCode.NotFound, await RefusalAsync(() => blue.GetSequenceAsync(null, "chat", default)));
        Assert.Equal(HttpStatusCode.Forbidden, await RefusalAsync(() => blue.GetSequenceAsync("red", "chat", default)));
        Assert.Equal(HttpStatusCode.Forbidden, await RefusalAsync(() => blue.ParkSequenceAsync(null, "chat", new SequenceParkRequest(), default)));
        Assert.Equal("red", (await boss.ParkSequenceAsync("red", "chat", new SequenceParkRequest(), default)).Tenant);
    }

    [Fact]
    public async Task A_quota_that_is_used_up_is_a_conflict()
    {
        await using var node = await TestNode.StartAsync(options => options.Sequences.MaxSequences = 1);
        using var admin = PatientAdmin.Of(node.Node.Endpoints.Http);
        await admin.OpenSequenceAsync(null, new SequenceOpenRequest("a", "llama"), default);
        Assert.Equal(HttpStatusCode.Conflict, await RefusalAsync(() => admin.OpenSequenceAsync(null, new SequenceOpenRequest("b", "llama"), default)));
    }

    private static SequenceAppendRequest Append(long epoch, long after, string? requestId = null) => new(
        epoch, 4, 64, 4000, after == 0 ? null : $"{SequenceCommands.Hash(after)}", $"{SequenceCommands.Hash(after + 1)}", $"{SequenceCommands.Hash(after + 4)}", requestId);

    private static Task<KvMeshNode> StartAsync(string directory) => KvMeshNode.StartAsync(
        NodeOptionsReader.Check(TestNode.Options(directory)),
        new NodeSurroundings { NotifySocket = null, Logging = logging => logging.SetMinimumLevel(LogLevel.None) },
        CancellationToken.None);

    private static long PlansOf(string metrics) => metrics.Split('\n')
        .Where(line => line.StartsWith("kvmesh_placement_plans_total", StringComparison.Ordinal))
        .Select(line => long.Parse(line[(line.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture))
        .Sum();

    private static async Task<HttpStatusCode> RefusalAsync(Func<Task<SequenceStatus>> call) => (await Assert.ThrowsAsync<AdminRefusedException>(call)).StatusCode;
}
