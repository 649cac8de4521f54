using System.Diagnostics;

namespace KvMesh.LoadTest.Measuring;

/// <summary>Counts of one worker of a run.</summary>
internal sealed class WorkerTally(int index)
{
    public int Index { get; } = index;

    public long Operations { get; private set; }

    public long Bytes { get; private set; }

    public LatencyLog Latencies { get; } = new(index + 1);

    public void Count(int operations, long bytes, long ticks)
    {
        Operations += operations;
        Bytes += bytes;
        Latencies.Add(ticks);
    }
}

/// <summary>Starts workers together, one thread each, and adds up what they did.</summary>
internal static class Workers
{
    /// <summary>As <see cref="Run"/>, with a worker that awaits: its thread only waits for it.</summary>
    public static Sample RunAsync(int count, int serverProcessId, Func<RunWindow> window, Func<WorkerTally, RunWindow, Task> work) =>
        Run(count, serverProcessId, window, (tally, opened) => Task.Run(() => work(tally, opened)).GetAwaiter().GetResult());

    /// <param name="count">Threads.</param>
    /// <param name="serverProcessId">Process whose time counts as the server's; 0: none.</param>
    /// <param name="window">Made when every thread is ready.</param>
    /// <param name="work">What a thread does until the window closes.</param>
    public static Sample Run(int count, int serverProcessId, Func<RunWindow> window, Action<WorkerTally, RunWindow> work)
    {
        using var ready = new CountdownEvent(count);
        using var go = new ManualResetEventSlim();
        RunWindow? opened = null;
        Exception? failure = null;
        WorkerTally[] tallies = [.. Enumerable.Range(0, count).Select(index => new WorkerTally(index))];
        Thread[] threads = [.. tallies.Select(tally => new Thread(() => Work(tally)) { IsBackground = true, Name = $"worker {tally.Index}" })];

        Array.ForEach(threads, thread => thread.Start());
        ready.Wait();
        var all = Neighbours.BusyCoreSeconds();
        var client = CpuMeter.CoreSeconds(Environment.ProcessId);
        var server = serverProcessId == 0 ? 0 : CpuMeter.CoreSeconds(serverProcessId);
        opened = window();
        var begin = Stopwatch.GetTimestamp();
        go.Set();
        Array.ForEach(threads, thread => thread.Join());

        var seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
        if (failure is not null)
        {
            throw new LoadTestException($"A worker failed: {failure.Message}", failure);
        }

        client = CpuMeter.CoreSeconds(Environment.ProcessId) - client;
        server = serverProcessId == 0 ? 0 : CpuMeter.CoreSeconds(serverProcessId) - server;
        var others = Math.Max(0, Neighbours.BusyCoreSeconds() - all - client - server);
        var percentiles = LatencyLog.Percentiles(tallies.Select(tally => tally.Latencies), 0.5, 0.99);
        return new Sample(
            tallies.Sum(tally => tally.Operations), tallies.Sum(tally => tally.Bytes), seconds, client, server, percentiles[0], percentiles[1],
            others / seconds);

        void Work(WorkerTally tally)
        {
            ready.Signal();
            go.Wait();
            try
            {
                work(tally, opened!);
            }
            catch (Exception exception)
            {
                Interlocked.CompareExchange(ref failure, exception, null);
            }
        }
    }
}
