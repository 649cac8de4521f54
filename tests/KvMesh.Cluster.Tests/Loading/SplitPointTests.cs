using KvMesh.Cluster.Loading;

namespace KvMesh.Cluster.Tests.Loading;

public sealed class SplitPointTests
{
    /// <summary>Published for a model of 70 B parameters and 8,192 tokens: 6 GB/s for eight A800, 19 GB/s for eight H800.</summary>
    [Theory]
    [InlineData(312e12, 6)]
    [InlineData(989e12, 19)]
    public void Loading_pays_above_the_published_bandwidths(double flopsPerSecond, double gigabytesPerSecond) =>
        Assert.Equal(gigabytesPerSecond, Math.Round(SplitPoint.LeastBandwidth(8192, PrefillRate.Of(80, 8192, 8 * flopsPerSecond), 327_680) / 1e9));

    [Theory]
    [InlineData(0)]
    [InlineData(1e-8)]
    [InlineData(1e-5)]
    public void Computing_and_loading_end_together(double squared)
    {
        var prefill = new PrefillRate(1e-4, squared);
        for (var bytesPerSecond = 1e3; bytesPerSecond < 1e13; bytesPerSecond *= 10)
        {
            var split = SplitPoint.Cake(100_000, prefill, 131_072, bytesPerSecond);

            var loading = (100_000 - split) * 131_072 / bytesPerSecond;
            var computing = (prefill.SecondsPerToken * split) + (squared * split * split);
            Assert.InRange(split, 0, 100_000);
            Assert.InRange(loading / computing, 1 - 1e-6, 1 + 1e-6);
        }
    }

    [Fact]
    public void The_limits_are_to_load_all_and_to_compute_all()
    {
        Assert.Equal(0, SplitPoint.Cake(1000, new PrefillRate(1, 0), 1, double.PositiveInfinity));
        Assert.InRange(SplitPoint.Cake(1000, new PrefillRate(1e-4, 0), 131_072, 1e-6), 999.999, 1000);
        Assert.Equal(0, SplitPoint.Cake(0, new PrefillRate(1, 1), 1, 1));
    }

    [Fact]
    public void Activations_that_are_sent_instead_are_as_many_as_a_search_finds()
    {
        for (var seed = 0; seed < 200; seed++)
        {
            var random = new Random(seed);
            var link = new KvprLink(random.Next(0, 3000), random.Next(1, 4096), random.Next(1, 4096), 2, 1e9 * (0.1 + random.NextDouble()), 1e12 * (0.1 + random.NextDouble()));

            var least = Enumerable.Range(0, (int)link.Tokens + 1).Min(tokens => link.Seconds(tokens));

            Assert.InRange(link.Seconds(SplitPoint.Kvpr(link)), least, least * (1 + 1e-12));
        }
    }

    /// <summary>Activations have half the bytes of keys and values in Llama-2-7B, and twice as many in Llama-3-8B, which groups its queries by four.</summary>
    [Fact]
    public void Activations_pay_without_grouped_queries_and_never_with_four_a_group()
    {
        var grouped = new KvprLink(8192, 4096, 1024, 2, 16e9, 300e12);
        var plain = grouped with { KeySize = 4096 };

        Assert.Equal(0, SplitPoint.Kvpr(grouped));
        var split = SplitPoint.Kvpr(plain);
        Assert.InRange(split, 1, 8191);

        // l·D·C·4/v = 2(N − l)·C·s/bw where the two meet.
        var meet = 8192 * (4 / 16e9) / ((4 / 16e9) + (4 * 4096 / 300e12));
        Assert.InRange(split, meet - 1, meet + 1);
    }

    [Fact]
    public void Refuses_values_that_no_link_has()
    {
        var link = new KvprLink(1, 1, 1, 1, 1, 1);
        Assert.StartsWith("BytesPerSecond is 0; it must be more than 0.", Assert.Throws<ArgumentException>(() => SplitPoint.Kvpr(link with { BytesPerSecond = 0 })).Message, StringComparison.Ordinal);
        Assert.StartsWith("Tokens is -1; it must be at least 0.", Assert.Throws<ArgumentException>(() => SplitPoint.Kvpr(link with { Tokens = -1 })).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => SplitPoint.Cake(-1, new PrefillRate(1, 0), 1, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => SplitPoint.Cake(1, new PrefillRate(1, 0), 1, 0));
    }
}
