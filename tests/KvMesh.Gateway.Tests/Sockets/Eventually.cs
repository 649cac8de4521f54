using System.Diagnostics;

namespace KvMesh.Gateway.Tests.Sockets;

/// <summary>Waits for what another thread will do, with a bound and a message.</summary>
internal static class Eventually
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static async Task Holds(Func<bool> condition, string what)
    {
        var since = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(since) > Patience)
            {
                throw new TimeoutException($"Not seen within {Patience.TotalSeconds} s: {what}.");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
        }
    }

    /// <summary>Runs a blocking call on a thread of its own.</summary>
    public static async Task<T> Within<T>(Func<T> blocking, string what)
    {
        var task = Task.Factory.StartNew(blocking, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        return await task.WaitAsync(Patience, TimeProvider.System).ContinueWith(
            done => done.Exception?.InnerException is TimeoutException ? throw new TimeoutException($"Not seen within {Patience.TotalSeconds} s: {what}.") : done,
            TaskScheduler.Default).Unwrap();
    }
}
