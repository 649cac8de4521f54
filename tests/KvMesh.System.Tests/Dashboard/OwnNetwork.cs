using KvMesh.TestKit;

namespace KvMesh.System.Tests.Dashboard;

/// <summary>
/// A network that nothing outside this test can reach, with one address that is not a loopback one: programs that run in it meet there as programs
/// on two machines do. It lives as long as a process that the test started.
/// </summary>
internal sealed class OwnNetwork : IAsyncDisposable
{
    public const string Address = "10.77.0.1";

    private readonly ChildProcess _holder;

    private OwnNetwork(ChildProcess holder) => _holder = holder;

    /// <summary>What a command line begins with to run in this network.</summary>
    public IReadOnlyList<string> Launcher => ["nsenter", $"--net=/proc/{_holder.Id}/ns/net"];

    /// <summary>Makes one, or says why this machine does not let the tests.</summary>
    public static async Task<(OwnNetwork? Network, string Refusal)> TryMakeAsync()
    {
        ChildProcess? holder = null;
        try
        {
            holder = ChildProcess.Start(
                "unshare", ["--net", "--", "sh", "-c", $"ip link set lo up && ip address add {Address}/32 dev lo && echo made && exec sleep 3600"]);
            await holder.WaitForLineAsync(line => line == "made", "the network", Eventually.Patience);
            return (new OwnNetwork(holder), "");
        }
        catch (Exception refusal) when (refusal is InvalidOperationException or TimeoutException)
        {
            await (holder?.DisposeAsync() ?? ValueTask.CompletedTask);
            return (null, refusal.Message);
        }
    }

    public ValueTask DisposeAsync() => _holder.DisposeAsync();
}
