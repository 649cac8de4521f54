namespace KvMesh.Codecs.Tests.Skv1;

public sealed class Skv1SampleTests
{
    /// <summary>Weight on the first four tokens and on the 64 heaviest, and tokens that matter, as they were when SKV-1 was made.</summary>
    [Theory]
    [InlineData(Skv1Regime.Diffuse, 0.002, 0.406, 232.8)]
    [InlineData(Skv1Regime.SharpWithSink, 0.457, 0.801, 15.9)]
    public void Attention_falls_as_in_the_reference(Skv1Regime regime, double sinks, double heaviest, double effective)
    {
        double sinkSum = 0, heaviestSum = 0, effectiveSum = 0;
        for (var seed = 1; seed <= Skv1Sample.Seeds; seed++)
        {
            var sample = Skv1Sample.Generate(seed, regime);
            for (var query = 0; query < Skv1Sample.Queries; query++)
            {
                var weights = Weights(sample, query);
                sinkSum += weights[..4].Sum();
                heaviestSum += weights.OrderDescending().Take(64).Sum();
                effectiveSum += 1 / weights.Sum(weight => weight * weight);
            }
        }

        const int Count = Skv1Sample.Seeds * Skv1Sample.Queries;
        Assert.Equal(sinks, sinkSum / Count, 0.001);
        Assert.Equal(heaviest, heaviestSum / Count, 0.002);
        Assert.Equal(effective, effectiveSum / Count, 0.5);
    }

    [Fact]
    public void A_seed_gives_the_same_sample_again()
    {
        var (first, second) = (Skv1Sample.Generate(3, Skv1Regime.SharpWithSink), Skv1Sample.Generate(3, Skv1Regime.SharpWithSink));
        Assert.Equal(first.Keys, second.Keys);
        Assert.Equal(first.Values, second.Values);
        Assert.Equal(first.QueryVectors, second.QueryVectors);
        Assert.NotEqual(first.Keys, Skv1Sample.Generate(4, Skv1Regime.SharpWithSink).Keys);
    }

    private static double[] Weights(Skv1Sample sample, int query)
    {
        var logits = new double[Skv1Sample.Tokens];
        for (var token = 0; token < logits.Length; token++)
        {
            for (var channel = 0; channel < Skv1Sample.Channels; channel++)
            {
                logits[token] += sample.QueryVectors[(query * Skv1Sample.Channels) + channel] * (double)sample.Keys[(token * Skv1Sample.Channels) + channel];
            }

            logits[token] /= Math.Sqrt(Skv1Sample.Channels);
        }

        var most = logits.Max();
        double[] weights = [.. logits.Select(logit => Math.Exp(logit - most))];
        var sum = weights.Sum();
        return [.. weights.Select(weight => weight / sum)];
    }
}
