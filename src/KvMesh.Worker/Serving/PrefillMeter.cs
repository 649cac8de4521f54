using KvMesh.Cluster.Loading;
using KvMesh.Worker.Model.Compute;
using KvMesh.Worker.Model.Files;

namespace KvMesh.Worker.Serving;

/// <summary>
/// How fast this worker computes prompts, as far as it was seen: what a pass took against the work in it (<see cref="PrefillRate.Of"/>). The first pass tells more than any assumption; new passes count for more
/// than old ones. One thread notes; any may look.
/// </summary>
internal sealed class PrefillMeter(ModelConfig config)
{
    /// <summary>Passes of fewer tokens wait for memory more than they compute: they tell nothing of prompts.</summary>
    private const int WorthwhileTokens = 16;

    private const double NewShare = 0.2;

    /// <summary>Before anything was seen: a core or two.</summary>
    private const double AssumedFlopsPerSecond = 20e9;

    private readonly PrefillRate _work = PrefillRate.Of(config.Layers, config.Hidden, flopsPerSecond: 1);
    private double _flopsPerSecond = AssumedFlopsPerSecond;
    private bool _isMeasured;

    public PrefillRate Current
    {
        get
        {
            var flopsPerSecond = Volatile.Read(ref _flopsPerSecond);
            return new PrefillRate(_work.SecondsPerToken / flopsPerSecond, _work.SecondsPerSquaredToken / flopsPerSecond);
        }
    }

    /// <summary>A pass took so long.</summary>
    public void Note(ReadOnlySpan<ModelInput> inputs, TimeSpan elapsed)
    {
        var (tokens, work) = (0, 0.0);
        foreach (var input in inputs)
        {
            tokens += input.Tokens.Length;
            work += _work.Seconds(input.Position, input.EndPosition);
        }

        if (tokens >= WorthwhileTokens && elapsed > TimeSpan.Zero)
        {
            Volatile.Write(ref _flopsPerSecond, _flopsPerSecond + ((_isMeasured ? NewShare : 1) * ((work / elapsed.TotalSeconds) - _flopsPerSecond)));
            _isMeasured = true;
        }
    }
}

/// <summary>What a worker could do itself while a prefix is fetched.</summary>
/// <param name="Rate">How fast it computes prompts.</param>
/// <param name="FreeIn">When it has done what it was given before.</param>
internal readonly record struct PrefillOutlook(PrefillRate Rate, TimeSpan FreeIn);
