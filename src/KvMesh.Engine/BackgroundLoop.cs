using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace KvMesh.Engine;

/// <summary>A thread that does one step again and again until it is disposed, or its work is done. An unexpected failure ends the step, not the loop.</summary>
internal sealed partial class BackgroundLoop : IDisposable
{
    /// <summary>Steps of niceness: a third of the processor time of a thread that serves, where both want one.</summary>
    private const int Courtesy = 5;

    private readonly AutoResetEvent _signal = new(initialState: false);
    private readonly Thread _thread;
    private readonly TimeSpan _period;
    private readonly Func<bool> _step;
    private readonly ILogger _logger;
    private readonly object _progress = new();
    private volatile bool _isStopping;
    private long _asked;
    private long _done;

    public BackgroundLoop(string name, TimeSpan period, Action step, ILogger logger)
        : this(
            name,
            period,
            () =>
            {
                step();
                return true;
            },
            logger)
    {
    }

    /// <param name="step">Returns whether there will be more to do; the thread ends when not.</param>
    public BackgroundLoop(string name, TimeSpan period, Func<bool> step, ILogger logger)
    {
        _period = period;
        _step = step;
        _logger = logger;
        _thread = new Thread(Run) { Name = "kvmesh-" + name, IsBackground = true };
        _thread.Start();
    }

    /// <summary>Whether the step should come to an end soon.</summary>
    public bool IsStopping => _isStopping;

    /// <summary>Runs the next step now instead of at the end of the period.</summary>
    /// <returns>What <see cref="Wait"/> takes to wait for a step that begins after this call.</returns>
    public long Signal()
    {
        var ticket = Interlocked.Increment(ref _asked);
        _signal.Set();
        return ticket;
    }

    /// <summary>Waits until a step that began after the signal has ended, or the loop itself has. False: not within that time.</summary>
    public bool Wait(long ticket, TimeSpan patience)
    {
        var start = Environment.TickCount64;
        lock (_progress)
        {
            while (_done < ticket)
            {
                var left = patience - TimeSpan.FromMilliseconds(Environment.TickCount64 - start);
                if (left <= TimeSpan.Zero || !Monitor.Wait(_progress, left))
                {
                    return _done >= ticket;
                }
            }

            return true;
        }
    }

    public void Dispose()
    {
        _isStopping = true;
        _signal.Set();
        _thread.Join();
        _signal.Dispose();
    }

    private void Run()
    {
        // On Linux this is of the calling thread alone. Whoever serves a request goes before work that can wait.
        _ = LowerPriority(Courtesy);
        while (!_isStopping)
        {
            var asked = Interlocked.Read(ref _asked);
            try
            {
                if (!_step())
                {
                    break;
                }
            }
            catch (Exception exception)
            {
                Log.StepFailed(_logger, _thread.Name!, exception);
            }

            NoteDone(asked);
            _signal.WaitOne(_period);
        }

        NoteDone(long.MaxValue);
    }

    private void NoteDone(long asked)
    {
        lock (_progress)
        {
            _done = asked;
            Monitor.PulseAll(_progress);
        }
    }

    [LibraryImport("libc", EntryPoint = "nice")]
    private static partial int LowerPriority(int steps);

    private static partial class Log
    {
        [LoggerMessage(1010, LogLevel.Error, "A step of {Loop} failed; the loop goes on")]
        public static partial void StepFailed(ILogger logger, string loop, Exception exception);
    }
}
