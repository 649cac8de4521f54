using System.Net;
using KvMesh.Dashboard;
using KvMesh.TestKit;

namespace KvMesh.System.Tests.Dashboard;

/// <summary>A dashboard beside its node, as <c>kvmesh console</c> serves it.</summary>
internal sealed class ConsoleDashboard : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private Task _running = Task.CompletedTask;

    public Uri Page { get; private set; } = null!;

    public static async Task<ConsoleDashboard> StartAsync(Uri node)
    {
        var console = new ConsoleDashboard();
        var started = new TaskCompletionSource<Uri>(TaskCreationOptions.RunContinuationsAsynchronously);
        console._running = ConsoleHost.RunAsync(
            new ConsoleOptions { Listen = new IPEndPoint(IPAddress.Loopback, 0), Dashboard = { Node = node }, Started = started.SetResult },
            console._stopping.Token);
        var first = await Task.WhenAny(started.Task, console._running).Within("the start of the dashboard");
        await first;
        console.Page = await started.Task;
        return console;
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _running.Within("the end of the dashboard");
        _stopping.Dispose();
    }
}
