using KvMesh.Cluster.Loading;
using KvMesh.Worker.Model.Compute;
using KvMesh.Worker.Model.Files;

namespace KvMesh.Worker.Serving;

/// <summary>
/// How fast this worker computes prompts, as far as it was seen: what a pass of few tokens took, which waits for the weights, and what a pass of many took beyond that against
/// the work in it (<see cref="PrefillRate.Of"/>). The first pass of a kind tells more than any assumption; new passes count for more than old ones. One thread notes; any may look.
/// </summary>
internal sealed class PrefillMeter(ModelConfig config)
{
    /// <summary>Passes of at most so many tokens wait for memory and hardly compute.</summary>
    private const int FewTokens = 4;

    /// <summary>Passes of fewer tokens tell little of what a token costs.</summary>
    private const int ManyTokens = 64;

    private const double NewShare = 0.2;

    /// <summary>Before anything was seen: a core or two.</summary>
    private const double AssumedFlopsPerSecond = 20e9;

    private readonly PrefillRate _work = PrefillRate.Of(config.Layers, config.Hidden, flopsPerSecond: 1);
    private readonly Lock _lock = new();
    private double _secondsPerWork = 1 / AssumedFlopsPerSecond;
    private double _secondsPerPass;
    private bool _knowsWork;
    private bool _knowsPass;

    public PrefillRate Current
    {
        get
        {
            lock (_lock)
            {
                return new PrefillRate(_work.SecondsPerToken * _secondsPerWork, _work.SecondsPerSquaredToken * _secondsPerWork, _secondsPerPass);
            }
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

        lock (_lock)
        {
            if (tokens <= FewTokens)
            {
                Average(ref _secondsPerPass, ref _knowsPass, elapsed.TotalSeconds);
            }
            else if (tokens >= ManyTokens)
            {
                Average(ref _secondsPerWork, ref _knowsWork, Computing(elapsed) / work);
            }
            else if (!_knowsWork)
            {
                _secondsPerWork = Computing(elapsed) / work;
            }
        }
    }

    /// <summary>What a pass took for its tokens. Where that is next to nothing it, or one of few tokens, was disturbed: what is computed is not free.</summary>
    private double Computing(TimeSpan elapsed) => Math.Max(elapsed.TotalSeconds - _secondsPerPass, elapsed.TotalSeconds / 4);

    private static void Average(ref double value, ref bool isKnown, double seen)
    {
        value += (isKnown ? NewShare : 1) * (seen - value);
        isKnown = true;
    }
}

/// <summary>What a worker could do itself while a prefix is fetched.</summary>
/// <param name="Rate">How fast it computes prompts.</param>
/// <param name="FreeIn">When it has done what it was given before.</param>
/// <param name="GoesOn">Whether there are tokens behind the prefix to compute in any case.</param>
internal readonly record struct PrefillOutlook(PrefillRate Rate, TimeSpan FreeIn, bool GoesOn);
