using Polly;
using Polly.CircuitBreaker;
using StackExchange.Redis;

namespace KvMesh.Remote.Redis.Sequences;

/// <summary>
/// Every call to Redis: bounded in number and time, and none for a moment after a run of failures. Nothing is tried again here: whether a
/// step may be repeated is known where its request id is. What was given up may still be carried out by a Redis that wakes up.
/// </summary>
internal sealed class RedisCalls : IDisposable
{
    private readonly RedisSequenceConnection _redis;
    private readonly RedisSequenceStoreOptions _options;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _places;
    private readonly ResiliencePipeline _breaker;

    public RedisCalls(RedisSequenceConnection redis, RedisSequenceStoreOptions options, TimeProvider time)
    {
        _redis = redis;
        _options = options;
        _time = time;
        _places = new SemaphoreSlim(options.MaxUnderWay);
        _breaker = new ResiliencePipelineBuilder { TimeProvider = time }
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions
            {
                FailureRatio = 0.9,
                MinimumThroughput = 8,
                SamplingDuration = TimeSpan.FromSeconds(5),
                BreakDuration = options.Pause,
                ShouldHandle = new PredicateBuilder().Handle<TimeoutException>().Handle<RedisConnectionException>(),
            })
            .Build();
    }

    /// <summary>Makes a call. Its text is empty unless there was no answer, or none but an error.</summary>
    public async ValueTask<(T? Value, string Failure)> AskAsync<T, TState>(
        Func<IDatabase, TState, Task<T>> call, TState state, CancellationToken cancellationToken)
    {
        if (!_places.Wait(0, CancellationToken.None))
        {
            return (default, $"{_options.MaxUnderWay} calls to Redis are under way, the limit.");
        }

        try
        {
            var value = await _breaker.ExecuteAsync(
                static (asked, token) => asked.Calls.CallAsync(asked.Call, asked.State, token), (Calls: this, Call: call, State: state), cancellationToken).ConfigureAwait(false);
            return (value, "");
        }
        catch (BrokenCircuitException)
        {
            return (default, "Redis did not answer a moment ago and is left alone for a while.");
        }
        catch (TimeoutException)
        {
            return (default, $"Redis did not answer within {_options.Deadline.TotalSeconds:0.###} s.");
        }
        catch (Exception failure) when (failure is RedisException or System.Net.Sockets.SocketException or ObjectDisposedException)
        {
            return (default, failure is RedisServerException ? $"Redis refused: {failure.Message.Split('\n')[0]}" : "There is no connection to Redis.");
        }
        finally
        {
            _places.Release();
        }
    }

    public void Dispose() => _places.Dispose();

    private async Task<T> AnswerAsync<T, TState>(Func<IDatabase, TState, Task<T>> call, TState state)
    {
        var connection = await _redis.OpenAsync().ConfigureAwait(false);
        return await call(connection.GetDatabase(), state).ConfigureAwait(false);
    }

    private async ValueTask<T> CallAsync<T, TState>(Func<IDatabase, TState, Task<T>> call, TState state, CancellationToken cancellationToken)
    {
        for (var isFirst = true; ; isFirst = false)
        {
            var answer = AnswerAsync(call, state);
            try
            {
                var value = await answer.WaitAsync(_options.Deadline, _time, cancellationToken).ConfigureAwait(false);
                _redis.NoteAnswer();
                return value;
            }
            catch (RedisServerException failure) when (isFirst && failure.Message.StartsWith("NOSCRIPT", StringComparison.Ordinal))
            {
                // A Redis that was restarted has forgotten the scripts, and the script has not run: it is sent whole now.
            }
            catch (Exception failure) when (failure is TimeoutException or OperationCanceledException)
            {
                // Nobody waits for this answer any more; its failure is nobody's surprise.
                _redis.GiveUpIfHung();
                _ = answer.ContinueWith(static given => _ = given.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
                throw;
            }
            catch (Exception failure) when (failure is RedisConnectionException or ObjectDisposedException)
            {
                _redis.GiveUpIfHung();
                throw;
            }
        }
    }
}
