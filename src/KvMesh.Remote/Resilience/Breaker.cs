using Polly;
using Polly.CircuitBreaker;

namespace KvMesh.Remote.Resilience;

/// <summary>
/// Tells whether one destination may be asked. Callers look at <see cref="IsClosed"/> first, and tell afterwards how it went; while it is
/// open nobody asks but a probe that its owner runs now and then, so no caller ever pays for finding out. Any thread.
/// </summary>
public sealed class Breaker
{
    private readonly BreakerOptions _options;
    private readonly TimeProvider _time;
    private volatile Circuit _circuit;
    private int _isDoubtful;
    private long _opened;

    public Breaker(BreakerOptions options, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        _time = time;
        _circuit = NewCircuit();
    }

    /// <summary>Whether the destination may be asked.</summary>
    public bool IsClosed => _circuit.State.CircuitState == CircuitState.Closed;

    /// <summary>How often it opened.</summary>
    public long Opened => Interlocked.Read(ref _opened);

    /// <summary>
    /// The destination answered. A circuit sees failures only, and a new one begins with the success after them: a thousand successes of
    /// the second before must not outvote a destination that hangs now.
    /// </summary>
    public void Succeeded()
    {
        if (Volatile.Read(ref _isDoubtful) != 0 && IsClosed && Interlocked.Exchange(ref _isDoubtful, 0) != 0)
        {
            _circuit = NewCircuit();
        }
    }

    /// <summary>The destination was lost, or did not answer in time.</summary>
    public void Failed()
    {
        Volatile.Write(ref _isDoubtful, 1);
        var circuit = _circuit;
        if (circuit.State.CircuitState != CircuitState.Closed)
        {
            return;
        }

        try
        {
            circuit.Pipeline.Execute(static () => false);
        }
        catch (BrokenCircuitException)
        {
            // It opened at this moment: what was to be told is known.
        }
    }

    /// <summary>Runs a probe when its time has come, and closes the breaker when it succeeds.</summary>
    public bool TryProbe(Func<bool> probe)
    {
        try
        {
            return _circuit.Pipeline.Execute(probe);
        }
        catch (BrokenCircuitException)
        {
            // Not yet.
            return false;
        }
    }

    private static TimeSpan BreakFor(BreakerOptions options, int failedProbes)
    {
        var pause = options.ShortestBreak * Math.Pow(2, Math.Min(failedProbes, 20));
        return pause < options.LongestBreak ? pause : options.LongestBreak;
    }

    private Circuit NewCircuit()
    {
        var state = new CircuitBreakerStateProvider();
        var pipeline = new ResiliencePipelineBuilder<bool> { TimeProvider = _time }.AddCircuitBreaker(new CircuitBreakerStrategyOptions<bool>
        {
            FailureRatio = 1,
            MinimumThroughput = _options.Failures,
            SamplingDuration = _options.Window,
            BreakDuration = _options.ShortestBreak,
            BreakDurationGenerator = arguments => new ValueTask<TimeSpan>(BreakFor(_options, arguments.HalfOpenAttempts)),
            StateProvider = state,
            ShouldHandle = static arguments => new ValueTask<bool>(!arguments.Outcome.Result),
            OnOpened = _ =>
            {
                Interlocked.Increment(ref _opened);
                return default;
            },
        }).Build();
        return new Circuit(pipeline, state);
    }

    private sealed record Circuit(ResiliencePipeline<bool> Pipeline, CircuitBreakerStateProvider State);
}
