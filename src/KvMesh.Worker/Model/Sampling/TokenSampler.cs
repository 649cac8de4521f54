using System.Numerics.Tensors;

namespace KvMesh.Worker.Model.Sampling;

/// <summary>
/// Chooses a token from logits. There is no generator with a state: the random number of a position follows from the seed and the position, so that a
/// sequence goes on with the same tokens on another worker, and however often a step is computed again.
/// </summary>
public static class TokenSampler
{
    /// <param name="logits">One for each token of the vocabulary.</param>
    /// <param name="rule">How to choose; valid.</param>
    /// <param name="position">Position in the sequence that the token will have.</param>
    /// <exception cref="ArithmeticException">A logit is not a number, or none is finite.</exception>
    public static int Choose(ReadOnlySpan<float> logits, SamplingRule rule, int position)
    {
        var best = TensorPrimitives.IndexOfMax(logits);
        if (best < 0 || !float.IsFinite(logits[best]))
        {
            throw new ArithmeticException($"the largest of {logits.Length} logits is {(best < 0 ? "missing" : logits[best])}; weights or cache hold what is no number.");
        }

        return rule.Temperature == 0 || rule.TopK == 1 ? best : Draw(Candidates(logits, rule), logits[best], rule, Uniform(rule.Seed, position));
    }

    /// <summary>A number from 0 to below 1.</summary>
    internal static double Uniform(ulong seed, int position) => (Mix(Mix(seed) + (ulong)position) >> 11) * (1.0 / (1UL << 53));

    /// <summary>Tokens with their logits, likeliest first, the lower number first where they are equal.</summary>
    private static (int Token, float Logit)[] Candidates(ReadOnlySpan<float> logits, SamplingRule rule)
    {
        var candidates = new (int Token, float Logit)[logits.Length];
        for (var token = 0; token < logits.Length; token++)
        {
            candidates[token] = (token, logits[token]);
        }

        Array.Sort(candidates, (one, other) => one.Logit == other.Logit ? one.Token.CompareTo(other.Token) : other.Logit.CompareTo(one.Logit));
        return rule.TopK == 0 || rule.TopK >= candidates.Length ? candidates : candidates[..rule.TopK];
    }

    private static int Draw((int Token, float Logit)[] candidates, float largest, SamplingRule rule, double uniform)
    {
        var weights = Array.ConvertAll(candidates, candidate => Math.Exp(((double)candidate.Logit - largest) / rule.Temperature));
        var kept = Nucleus(weights, rule.TopP);
        var target = uniform * weights.Take(kept).Sum();
        var sum = 0.0;
        for (var index = 0; index < kept - 1; index++)
        {
            sum += weights[index];
            if (target < sum)
            {
                return candidates[index].Token;
            }
        }

        return candidates[kept - 1].Token;
    }

    /// <summary>How many of the likeliest reach the probability.</summary>
    private static int Nucleus(double[] weights, float probability)
    {
        if (probability >= 1)
        {
            return weights.Length;
        }

        var target = probability * weights.Sum();
        var sum = 0.0;
        for (var index = 0; index < weights.Length; index++)
        {
            sum += weights[index];
            if (sum >= target)
            {
                return index + 1;
            }
        }

        return weights.Length;
    }

    /// <summary>SplitMix64.</summary>
    private static ulong Mix(ulong value)
    {
        value += 0x9E3779B97F4A7C15;
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }
}
