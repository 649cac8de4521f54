using KvMesh.Worker.Model.Sampling;

namespace KvMesh.Worker.Tests.Model;

public sealed class TokenSamplerTests
{
    private static readonly float[] Logits = [0, 2, 1, 2, -1, float.NegativeInfinity];

    [Fact]
    public void Greedy_takes_the_first_of_the_likeliest() => Assert.Equal(1, TokenSampler.Choose(Logits, SamplingRule.Greedy, 5));

    [Fact]
    public void The_same_seed_and_position_give_the_same_token()
    {
        var rule = new SamplingRule { Temperature = 1, Seed = 42 };
        var first = Draw(rule, 200);

        Assert.Equal(first, Draw(rule, 200));
        Assert.NotEqual(first, Draw(rule with { Seed = 43 }, 200));
        Assert.True(first.Distinct().Count() > 2);
    }

    [Fact]
    public void Tokens_come_as_often_as_their_probabilities_say()
    {
        const int Draws = 40_000;
        var counts = Draw(new SamplingRule { Temperature = 0.5f, Seed = 7 }, Draws).CountBy(token => token).ToDictionary();
        var weights = Logits.Select(logit => Math.Exp(logit / 0.5)).ToArray();

        for (var token = 0; token < 5; token++)
        {
            Assert.Equal(weights[token] / weights.Sum(), (double)counts.GetValueOrDefault(token) / Draws, 0.01);
        }

        Assert.False(counts.ContainsKey(5));
    }

    [Fact]
    public void Top_k_leaves_the_likeliest_and_the_lower_numbers_of_equals()
    {
        Assert.Equal([1, 3], Kept(new SamplingRule { Temperature = 5, TopK = 2 }));
        Assert.Equal([1, 2, 3], Kept(new SamplingRule { Temperature = 5, TopK = 3 }));
        Assert.Equal([1], Kept(new SamplingRule { Temperature = 5, TopK = 1 }));
        Assert.Equal([0, 1, 2, 3, 4], Kept(new SamplingRule { Temperature = 5, TopK = 100 }));
    }

    [Fact]
    public void Top_p_leaves_the_fewest_that_reach_it()
    {
        // At temperature 1: e², e², e, 1, 1/e make 0.392, 0.392, 0.144, 0.053, 0.020.
        Assert.Equal([1], Kept(new SamplingRule { Temperature = 1, TopP = 0.3f }));
        Assert.Equal([1, 3], Kept(new SamplingRule { Temperature = 1, TopP = 0.7f }));
        Assert.Equal([1, 2, 3], Kept(new SamplingRule { Temperature = 1, TopP = 0.9f }));
        Assert.Equal([1, 3], Kept(new SamplingRule { Temperature = 1, TopP = 0.9f, TopK = 2 }));
    }

    [Fact]
    public void Numbers_are_even_and_differ_by_position_and_seed()
    {
        var numbers = Enumerable.Range(0, 20_000).Select(position => TokenSampler.Uniform(1, position)).ToArray();

        Assert.All(numbers, number => Assert.InRange(number, 0, 0.9999999999999999));
        Assert.Equal(numbers.Length, numbers.Distinct().Count());
        Assert.Equal(0.5, numbers.Average(), 0.01);
        Assert.NotEqual(TokenSampler.Uniform(1, 2), TokenSampler.Uniform(2, 1));
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Logits_that_are_no_numbers_are_refused(float logit) =>
        Assert.Throws<ArithmeticException>(() => TokenSampler.Choose([0, logit, 1], SamplingRule.Greedy, 0));

    [Fact]
    public void Rules_out_of_range_are_refused_by_name()
    {
        Assert.Contains("temperature -1", Assert.Throws<ArgumentException>(new SamplingRule { Temperature = -1 }.Validate).Message, StringComparison.Ordinal);
        Assert.Contains("top_k -1", Assert.Throws<ArgumentException>(new SamplingRule { TopK = -1 }.Validate).Message, StringComparison.Ordinal);
        Assert.Contains("top_p 0", Assert.Throws<ArgumentException>(new SamplingRule { TopP = 0 }.Validate).Message, StringComparison.Ordinal);
        Assert.Contains("top_p 1.5", Assert.Throws<ArgumentException>(new SamplingRule { TopP = 1.5f }.Validate).Message, StringComparison.Ordinal);
    }

    private static int[] Draw(SamplingRule rule, int count) => [.. Enumerable.Range(0, count).Select(position => TokenSampler.Choose(Logits, rule, position))];

    private static int[] Kept(SamplingRule rule) => [.. Draw(rule, 3000).Distinct().Order()];
}
