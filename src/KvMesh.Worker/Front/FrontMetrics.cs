using System.Diagnostics.Metrics;

namespace KvMesh.Worker.Front;

/// <summary>What the front counts: requests by how they ended, tokens, and how long callers waited.</summary>
internal sealed class FrontMetrics
{
    // From a cached prompt of a small model to a long one that is computed.
    private static readonly double[] SecondBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

    private readonly TimeProvider _time;
    private readonly Counter<long> _requests;
    private readonly Counter<long> _promptTokens;
    private readonly Counter<long> _cachedTokens;
    private readonly Counter<long> _generatedTokens;
    private readonly UpDownCounter<long> _running;
    private readonly Histogram<double> _firstToken;
    private readonly Histogram<double> _duration;

    public FrontMetrics(Meter meter, TimeProvider time)
    {
        var advice = new InstrumentAdvice<double> { HistogramBucketBoundaries = SecondBounds };
        _time = time;
        _requests = meter.CreateCounter<long>("kvmesh.worker.requests", "{request}", "Requests for completions, by how they ended.");
        _promptTokens = meter.CreateCounter<long>("kvmesh.worker.prompt.tokens", "{token}", "Tokens of prompts that got an answer.");
        _cachedTokens = meter.CreateCounter<long>("kvmesh.worker.prompt.cached_tokens", "{token}", "Tokens of prompts whose keys and values were not computed for the answer.");
        _generatedTokens = meter.CreateCounter<long>("kvmesh.worker.generated.tokens", "{token}", "Tokens of answers.");
        _running = meter.CreateUpDownCounter<long>("kvmesh.worker.requests.running", "{request}", "Requests for completions under way.");
        _firstToken = meter.CreateHistogram("kvmesh.worker.first_token.duration", "s", "Time from a request's arrival to the first token of its answer.", null, advice);
        _duration = meter.CreateHistogram("kvmesh.worker.request.duration", "s", "Time from a request's arrival to the end of its answer.", null, advice);
    }

    public void Begin() => _running.Add(1);

    public void FirstToken(long startedAt, int promptTokens, int cachedTokens)
    {
        _firstToken.Record(_time.GetElapsedTime(startedAt).TotalSeconds);
        _promptTokens.Add(promptTokens);
        _cachedTokens.Add(cachedTokens);
    }

    /// <param name="outcome">ok, refused, overload, hung_up or failed.</param>
    public void End(long startedAt, string outcome, int generatedTokens)
    {
        _running.Add(-1);
        _requests.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
        _generatedTokens.Add(generatedTokens);
        if (outcome == "ok")
        {
            _duration.Record(_time.GetElapsedTime(startedAt).TotalSeconds);
        }
    }
}
