using KvMesh.Codecs.Bases;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests.Bases;

public sealed class ModelBasesTests
{
    private static readonly BasisKey Key = new(0, PlaneKind.Value, 0, 64);

    [Fact]
    public void Vectors_are_orthonormal_and_variances_fall()
    {
        foreach (var key in TestBases.OfStrips.Keys)
        {
            var basis = TestBases.OfStrips.Find(key)!;
            for (var first = 0; first < key.Channels; first++)
            {
                Assert.True(first == 0 || basis.Variances[first] <= basis.Variances[first - 1]);
                for (var second = 0; second <= first; second++)
                {
                    Assert.Equal(first == second ? 1 : 0, Scaling.Dot(basis.Vector(first), basis.Vector(second), SimdLevel.Scalar), 2e-3);
                }
            }
        }
    }

    /// <summary>Three directions and a little noise: the first three axes hold nearly all there is.</summary>
    [Fact]
    public void Few_axes_hold_what_lies_in_few_directions()
    {
        var random = new Random(4);
        var state = new double[3];
        var strip = StripData.Of("three directions", StripData.ShapeOf(256, 64, KvElement.BFloat16, PlaneKind.Value), (_, channel) =>
        {
            for (var factor = 0; channel == 0 && factor < 3; factor++)
            {
                state[factor] = StripData.Normal(random) * (3 - factor);
            }

            return Math.Sin(channel) + (state[0] * Math.Cos(0.3 * channel)) + (state[1] * Math.Sin(0.7 * channel)) + (state[2] * Math.Cos(1.1 * channel)) + (0.01 * StripData.Normal(random));
        });
        var variances = TestBases.Calibrate(strip).Find(Key)!.Variances.ToArray();
        Assert.True(variances[..3].Sum() > 0.999 * variances.Sum());
    }

    [Fact]
    public void Are_the_same_once_stored_and_read()
    {
        Assert.True(ModelBases.TryRead(TestBases.OfStrips.Stored.Span, out var read));
        Assert.Equal(TestBases.OfStrips.Hash.ToArray(), read.Hash.ToArray());
        Assert.Equal(TestBases.OfStrips.Keys, read.Keys);
        foreach (var key in read.Keys)
        {
            Assert.Equal(TestBases.OfStrips.Find(key)!.Vector(5).ToArray(), read.Find(key)!.Vector(5).ToArray());
        }
    }

    [Fact]
    public void A_stored_form_that_is_cut_longer_or_spoilt_is_refused_or_another()
    {
        var stored = TestBases.Calibrate(StripData.Noise(StripData.ShapeOf(64, 16, KvElement.BFloat16, PlaneKind.Value), 3)).Stored.ToArray();
        using var guarded = new GuardedBytes(stored.Length + 1);
        for (var length = 0; length < stored.Length; length++)
        {
            Assert.False(ModelBases.TryRead(guarded.Holding(stored.AsSpan(0, length)), out _));
        }

        Assert.False(ModelBases.TryRead(guarded.Holding([.. stored, 0]), out _));
        var random = new Random(7);
        var original = TestHash(stored);
        for (var round = 0; round < 500; round++)
        {
            var spoilt = stored.ToArray();
            spoilt[random.Next(random.Next(2) == 0 ? 32 : spoilt.Length)] ^= (byte)random.Next(1, 256);
            if (ModelBases.TryRead(guarded.Holding(spoilt), out var read))
            {
                Assert.NotEqual(original, read.Hash.ToArray());
            }
        }
    }

    [Fact]
    public void First_tokens_and_what_is_no_number_take_no_part()
    {
        var shape = StripData.ShapeOf(64, 16, KvElement.BFloat16, PlaneKind.Value) with { FirstPosition = 0 };
        var plain = StripData.Of("plain", shape, (token, channel) => token < 4 ? 0 : Math.Sin((token * 5) + channel));
        var loud = StripData.Of("loud", shape, (token, channel) => token < 4 ? 1000 * channel : Math.Sin((token * 5) + channel));
        Assert.Equal(TestBases.Calibrate(plain).Hash.ToArray(), TestBases.Calibrate(loud).Hash.ToArray());
        var broken = StripData.Of("broken", shape, (token, channel) => token == 9 ? double.NaN : Math.Sin((token * 5) + channel));
        Assert.All(TestBases.Calibrate(broken).Find(new BasisKey(0, PlaneKind.Value, 0, 16))!.Variances.ToArray(), variance => Assert.True(float.IsFinite(variance)));
    }

    private static byte[] TestHash(byte[] stored) => ModelBases.TryRead(stored, out var read) ? read.Hash.ToArray() : [];
}
