using KvMesh.Client.Admin;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>Every node that ever planned is killed: whoever plans next knows from Redis what operators did, and whether orders are paused.</summary>
[Trait("Category", "System")]
public sealed class SchedulerLossTests
{
    [Fact]
    public async Task A_pause_and_the_audit_outlive_every_node_that_knew_of_them()
    {
        using NodeFolders first = new(), second = new();
        await using var redis = await RedisServer.StartAsync();
        await using (var a = await StartAsync(first, redis, "a"))
        {
            using var admin = MeshOfThree.Admin(a);
            await EventuallyAsync(async () => (await admin.GetOrdersAsync(10, CancellationToken.None)).Scheduler == "a", "a plans");
            await EventuallyAsync(
                async () =>
                {
                    await admin.PauseOrdersAsync(CancellationToken.None);
                    return true;
                },
                "orders paused");
            await Eventually.Holds(async () => await PausedAsync(redis) == "1", "the pause in Redis");
            await a.Process.KillAsync();
        }

        await using var b = await StartAsync(second, redis, "b");
        using var other = MeshOfThree.Admin(b);
        await EventuallyAsync(async () => await other.GetOrdersAsync(10, CancellationToken.None) is { Scheduler: "b", IsPaused: true }, "orders paused under b");
        await EventuallyAsync(
            async () => (await other.GetAuditAsync(100, CancellationToken.None)).Any(entry => entry.Action == "pause"), "the line of the audit that a wrote");
    }

    /// <summary>A node that does not reach whoever plans says so, as it may at any time on a busy machine.</summary>
    private static Task EventuallyAsync(Func<Task<bool>> condition, string what) => Eventually.Holds(
        async () =>
        {
            try
            {
                return await condition();
            }
            catch (AdminRefusedException)
            {
                return false;
            }
        },
        what);

    private static async Task<string> PausedAsync(RedisServer redis) =>
        (await ChildProcess.RunAsync("redis-cli", ["-p", $"{redis.Port}", "hget", "kvmesh:{kvmesh}:placement", "paused"], Eventually.Patience)).Output.Trim();

    private static Task<NodeProcess> StartAsync(NodeFolders folders, RedisServer redis, string id)
    {
        folders.JoinMesh(redis.Port, id);
        folders.Environment["KVMESH_Placement__Step"] = "200ms";
        folders.Environment["KVMESH_Placement__DrainTimeout"] = "0s";
        return NodeProcess.StartAsync(folders, "--arena", "32MiB");
    }
}
