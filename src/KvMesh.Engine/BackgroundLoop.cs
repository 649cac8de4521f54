using Microsoft.Extensions.Logging;

namespace KvMesh.Engine;

/// <summary>A thread that does one step again and again until it is disposed. An unexpected failure ends the step, not the loop.</summary>
internal sealed partial class BackgroundLoop : IDisposable
{
    private readonly AutoResetEvent _signal = new(initialState: false);
    private readonly Thread _thread;
    private readonly TimeSpan _period;
    private readonly Action _step;
    private readonly ILogger _logger;
    private volatile bool _isStopping;

    public BackgroundLoop(string name, TimeSpan period, Action step, ILogger logger)
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
    public void Signal() => _signal.Set();

    public void Dispose()
    {
        _isStopping = true;
        _signal.Set();
        _thread.Join();
        _signal.Dispose();
    }

    private void Run()
    {
        while (!_isStopping)
        {
            try
            {
                _step();
            }
            catch (Exception exception)
            {
                Log.StepFailed(_logger, _thread.Name!, exception);
            }

            _signal.WaitOne(_period);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1010, LogLevel.Error, "A step of {Loop} failed; the loop goes on")]
        public static partial void StepFailed(ILogger logger, string loop, Exception exception);
    }
}
