using KvMesh.Cli.Local;
using KvMesh.TestKit;

namespace KvMesh.Cli.Tests.Local;

/// <summary>Processes that die under a supervisor: reported, started again after growing pauses, and left alone in the end.</summary>
public sealed class SupervisedTests : IDisposable
{
    private readonly StringWriter _log = new();
    private readonly CancellationTokenSource _stopping = new();

    public void Dispose()
    {
        _log.Dispose();
        _stopping.Dispose();
    }

    [Fact]
    public async Task One_that_keeps_dying_is_started_again_a_bounded_number_of_times()
    {
        await using var process = Supervise("echo up; exit 3");
        await process.FirstReadyAsync(CancellationToken.None);

        await process.Ended.Within("the end of the attempts");

        var text = _log.ToString();
        Assert.Contains("kvmesh: thing ended with code 3; it is started again in 0.5 s", text, StringComparison.Ordinal);
        Assert.Contains("started again in 4 s", text, StringComparison.Ordinal);
        Assert.Contains("thing ended with code 3; that is the 9th time in a row, it is not started again", text, StringComparison.Ordinal);
        Assert.Equal(8, text.Split("thing runs again").Length - 1);
    }

    [Fact]
    public async Task One_that_was_stopped_stays_away()
    {
        await using var process = Supervise("echo up; exit 0");
        await process.FirstReadyAsync(CancellationToken.None);

        await process.Ended.Within("the end");

        Assert.Equal("kvmesh: thing ended with code 0; it was stopped, and is not started again\n", _log.ToString());
    }

    [Fact]
    public async Task One_that_never_comes_up_is_told_to_the_caller()
    {
        await using var process = Supervise("exit 7");

        await Assert.ThrowsAsync<CommandException>(() => process.FirstReadyAsync(CancellationToken.None));
    }

    [Fact]
    public async Task Nothing_is_started_again_once_the_mesh_stops()
    {
        var process = Supervise("echo up; read line; exit 3");
        await process.FirstReadyAsync(CancellationToken.None);

        await _stopping.CancelAsync();
        await process.DisposeAsync();

        Assert.True(process.Ended.IsCompletedSuccessfully);
        Assert.Empty(_log.ToString());
    }

    private Supervised Supervise(string script) => new(
        "thing", () => LocalProcess.Start("thing", ("/bin/sh", ["-c", script]), new Dictionary<string, string>(), _log),
        (process, stop) => process.FirstLineAsync(stop), TextWriter.Synchronized(_log), new HastyClock(), _stopping.Token);

    /// <summary>Pauses are two hundred times shorter than they say.</summary>
    private sealed class HastyClock : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, dueTime > TimeSpan.Zero ? dueTime / 200 : dueTime, period);
    }
}
