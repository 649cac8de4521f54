using KvMesh.Client.Admin;
using KvMesh.Protocol.Admin;
using KvMesh.Server.Options;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Tests;

/// <summary>What operators did to the placement of a node of its own, after a restart.</summary>
public sealed class PlacementRestartTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Orders_stay_paused_and_the_audit_is_still_there()
    {
        await using (var first = await StartAsync())
        {
            using var admin = PatientAdmin.Of(first.Endpoints.Http);
            await PlansAsync(admin);
            await admin.PauseOrdersAsync(CancellationToken.None);
        }

        await using (var second = await StartAsync())
        {
            using var admin = PatientAdmin.Of(second.Endpoints.Http);
            Assert.True((await PlansAsync(admin)).IsPaused);
            Assert.Equal("pause", Assert.Single(await admin.GetAuditAsync(100, CancellationToken.None)).Action);
            await admin.ResumeOrdersAsync(CancellationToken.None);
        }

        await using var third = await StartAsync();
        using var last = PatientAdmin.Of(third.Endpoints.Http);
        Assert.False((await PlansAsync(last)).IsPaused);
        Assert.Equal(["resume", "pause"], (await last.GetAuditAsync(100, CancellationToken.None)).Select(entry => entry.Action));
    }

    /// <summary>A node that has just started may not plan yet, and says so.</summary>
    private static Task<OrderList> PlansAsync(AdminClient admin) =>
        Eventually.Succeeds<OrderList, AdminRefusedException>(() => admin.GetOrdersAsync(10, CancellationToken.None), "a node that plans");

    private Task<KvMeshNode> StartAsync() => KvMeshNode.StartAsync(
        NodeOptionsReader.Check(TestNode.Options(_directory.Path)),
        new NodeSurroundings { NotifySocket = null, Logging = logging => logging.SetMinimumLevel(LogLevel.None) },
        CancellationToken.None);
}
