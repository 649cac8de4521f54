using System.Diagnostics.CodeAnalysis;

namespace KvMesh.Codecs.Mixed;

/// <summary>
/// Looks for a codec for keys and for values of each layer, after KVTuner: from the least error on, the tensor is made cheaper that gains least error for
/// each byte it saves. Such steps go along the lower hull of what plans can reach, so that a plan is as good as the best one of the bytes of the step
/// before its last. Never worse than one codec for all keys and one for all values. Pure: the same costs give the same plan.
/// </summary>
public static class PlanSearch
{
    /// <summary>The plan with little error that fits in so many bytes of sections.</summary>
    /// <returns>False when nothing fits.</returns>
    public static bool TryForBytes(TensorCosts costs, double bytes, [NotNullWhen(true)] out SearchedPlan? plan)
    {
        var choices = Best(costs);
        while (Sum(costs, choices).Bytes > bytes)
        {
            if (!TryLower(costs, choices, double.PositiveInfinity))
            {
                plan = null;
                return false;
            }
        }

        while (TryRaise(costs, choices, bytes))
        {
        }

        foreach (var uniform in Uniform(costs))
        {
            var (own, other) = (Sum(costs, choices), Sum(costs, uniform));
            choices = other.Bytes <= bytes && other.Error < own.Error ? uniform : choices;
        }

        plan = Describe(costs, choices);
        return true;
    }

    /// <summary>The plan with few bytes whose error is no more than that.</summary>
    /// <param name="costs">Costs of tensors.</param>
    /// <param name="error">Most relative error of outputs, the root of the mean square over layers.</param>
    /// <param name="plan">The plan.</param>
    /// <returns>False when every plan loses more.</returns>
    public static bool TryForError(TensorCosts costs, double error, [NotNullWhen(true)] out SearchedPlan? plan)
    {
        plan = null;
        var most = error * error * costs.Layers;
        var choices = Best(costs);
        if (!(Sum(costs, choices).Error <= most))
        {
            return false;
        }

        while (TryLower(costs, choices, most))
        {
        }

        foreach (var uniform in Uniform(costs))
        {
            var (own, other) = (Sum(costs, choices), Sum(costs, uniform));
            choices = other.Error <= most && other.Bytes < own.Bytes ? uniform : choices;
        }

        plan = Describe(costs, choices);
        return true;
    }

    /// <summary>Bytes of all sections, and the sum of errors.</summary>
    internal static TensorCost Sum(TensorCosts costs, ReadOnlySpan<int> choices)
    {
        double bytes = 0, error = 0;
        for (var tensor = 0; tensor < choices.Length; tensor++)
        {
            var cost = costs.Of(tensor)[choices[tensor]];
            (bytes, error) = (bytes + cost.Bytes, error + cost.Error);
        }

        return new TensorCost(bytes, error);
    }

    internal static double RelativeError(TensorCosts costs, double error) => Math.Sqrt(error / costs.Layers);

    private static int[] Best(TensorCosts costs)
    {
        var choices = new int[costs.Tensors];
        for (var tensor = 0; tensor < choices.Length; tensor++)
        {
            var own = costs.Of(tensor);
            for (var candidate = 1; candidate < own.Length; candidate++)
            {
                var (best, other) = (own[choices[tensor]], own[candidate]);
                choices[tensor] = other.Error < best.Error || (other.Error == best.Error && other.Bytes < best.Bytes) ? candidate : choices[tensor];
            }
        }

        return choices;
    }

    /// <summary>Makes the tensor cheaper that gains least error for a byte, as long as all together stays below a limit.</summary>
    private static bool TryLower(TensorCosts costs, int[] choices, double mostError)
    {
        var sum = Sum(costs, choices);
        var (found, with, least, saved) = (-1, 0, double.PositiveInfinity, 0.0);
        for (var tensor = 0; tensor < choices.Length; tensor++)
        {
            var own = costs.Of(tensor);
            var now = own[choices[tensor]];
            for (var candidate = 0; candidate < own.Length; candidate++)
            {
                var saves = now.Bytes - own[candidate].Bytes;
                if (saves <= 0 || sum.Error - now.Error + own[candidate].Error > mostError)
                {
                    continue;
                }

                var slope = (own[candidate].Error - now.Error) / saves;
                if (slope < least || (slope == least && saves > saved))
                {
                    (found, with, least, saved) = (tensor, candidate, slope, saves);
                }
            }
        }

        if (found >= 0)
        {
            choices[found] = with;
        }

        return found >= 0;
    }

    /// <summary>Makes the tensor better that loses most error for a byte, as long as all together fits.</summary>
    private static bool TryRaise(TensorCosts costs, int[] choices, double mostBytes)
    {
        var sum = Sum(costs, choices);
        var (found, with, most) = (-1, 0, 0.0);
        for (var tensor = 0; tensor < choices.Length; tensor++)
        {
            var own = costs.Of(tensor);
            var now = own[choices[tensor]];
            for (var candidate = 0; candidate < own.Length; candidate++)
            {
                var (gain, bytes) = (now.Error - own[candidate].Error, own[candidate].Bytes - now.Bytes);
                var slope = bytes <= 0 ? double.MaxValue : gain / bytes;
                if (gain > 0 && sum.Bytes + bytes <= mostBytes && slope > most)
                {
                    (found, with, most) = (tensor, candidate, slope);
                }
            }
        }

        if (found >= 0)
        {
            choices[found] = with;
        }

        return found >= 0;
    }

    private static IEnumerable<int[]> Uniform(TensorCosts costs) =>
        from keys in Enumerable.Range(0, costs.Candidates.Count)
        from values in Enumerable.Range(0, costs.Candidates.Count)
        select Enumerable.Range(0, costs.Tensors).Select(tensor => tensor % 2 == 0 ? keys : values).ToArray();

    private static SearchedPlan Describe(TensorCosts costs, int[] choices)
    {
        var sum = Sum(costs, choices);
        var layers = Enumerable.Range(0, costs.Layers).Select(layer => (costs.Candidates[choices[2 * layer]], costs.Candidates[choices[(2 * layer) + 1]]));
        return new SearchedPlan(new MixedCodec(null, [.. layers]), choices, sum.Bytes, RelativeError(costs, sum.Error));
    }
}

/// <summary>A plan that was found.</summary>
/// <param name="Codec">The plan.</param>
/// <param name="Choices">For keys of each layer, then values: which of the candidates.</param>
/// <param name="Bytes">Bytes of a block's sections, the mean over the sample.</param>
/// <param name="Error">Relative error of outputs, the root of the mean square over layers.</param>
public sealed record SearchedPlan(MixedCodec Codec, IReadOnlyList<int> Choices, double Bytes, double Error);
