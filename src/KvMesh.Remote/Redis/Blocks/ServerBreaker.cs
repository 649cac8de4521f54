using Polly;
using Polly.CircuitBreaker;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>
/// Polly's circuit breaker around one server, executed synchronously. Operations work on spans, which no callback can capture, so they ask
/// <see cref="IsClosed"/> before and report their outcome after; once it has opened, only <see cref="TryClose"/> tries the server
/// again, on a thread for which nobody waits. So no client ever pays for a trial.
/// </summary>
internal sealed class ServerBreaker
{
    /// <summary>Failures older than this are forgotten. Successes count only as long after a failure: a server that hangs after a busy hour is noticed at once.</summary>
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(10);

    /// <summary>Time between two trials while it is open.</summary>
    private static readonly TimeSpan Break = TimeSpan.FromSeconds(1);

    private readonly CircuitBreakerStateProvider _state = new();
    private readonly ResiliencePipeline<IOException?> _pipeline;
    private readonly TimeProvider _time;
    private long _failedAt;

    public ServerBreaker(TimeProvider time)
    {
        _time = time;
        _pipeline = new ResiliencePipelineBuilder<IOException?> { TimeProvider = time }
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions<IOException?>
            {
                ShouldHandle = static arguments => ValueTask.FromResult(arguments.Outcome.Result is not null),
                FailureRatio = 0.5,
                MinimumThroughput = 2,
                SamplingDuration = Window,
                BreakDuration = Break,
                StateProvider = _state,
            })
            .Build();
    }

    /// <summary>Whether operations may run.</summary>
    public bool IsClosed => _state.CircuitState == CircuitState.Closed;

    /// <summary>Notes an operation that went well. Costs a read of one field while nothing fails.</summary>
    public void NoteSuccess()
    {
        if (Volatile.Read(ref _failedAt) is var at && at != 0 && _time.GetElapsedTime(at) < Window)
        {
            Report(null);
        }
    }

    /// <summary>Notes an operation that failed. True when this opened the breaker.</summary>
    public bool NoteFailure(IOException failure)
    {
        var wasClosed = IsClosed;
        Volatile.Write(ref _failedAt, Math.Max(1, _time.GetTimestamp()));
        Report(failure);
        return wasClosed && !IsClosed;
    }

    /// <summary>While it is open: makes the trial when one is due. True when that closed it.</summary>
    public bool TryClose(Func<IOException?> trial)
    {
        try
        {
            return _pipeline.Execute(static run => run(), trial) is null && IsClosed;
        }
        catch (BrokenCircuitException)
        {
            return false;
        }
    }

    private void Report(IOException? outcome)
    {
        try
        {
            _pipeline.Execute(static result => result, outcome);
        }
        catch (BrokenCircuitException)
        {
            // It opened meanwhile and knows enough.
        }
    }
}
