using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Kivi;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Lossless;
using KvMesh.Codecs.Mixed;
using KvMesh.Codecs.Tests.Blocks;

namespace KvMesh.Codecs.Tests.Mixed;

public sealed class MixedCodecTests : KvCodecContract
{
    private static readonly Dictionary<string, (string Keys, string Values)> PartsOfLayerZero = new()
    {
        ["mixed-k8-v4"] = ("int8-kc", "int4-g64"),
        ["mixed-k4-v2"] = ("kivi4-g64", "kivi2-g32"),
        ["mixed-ecq-k3-v2"] = ("ecq-0.34", "ecq-0.5"),
    };

    protected override IEnumerable<KvCodec> Codecs => CodecRegistry.Standard.Presets.Where(preset => preset.Id == CodecId.Mixed);

    protected override int? StripBytes(KvCodec codec, StripShape shape) => codec.IsFixedSize ? Part(codec, shape.Kind).MaxStripBytes(shape) : null;

    /// <summary>What a part loses by itself is bound by its own tests: here it must lose the same.</summary>
    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded)
    {
        var part = Part(codec, strip.Shape.Kind);
        Assert.Equal(Singles(strip.Shape, Decode(part, strip.Shape, Encode(part, strip, new CodecScratch()), new CodecScratch())), decoded);
    }

    // A part that cannot code a small strip leaves it as it is, which is the frame's.
    protected override IEnumerable<StripShape> Shapes(KvCodec codec) =>
        base.Shapes(codec).Where(shape => shape.Channels % 64 == 0 && shape.Tokens % codec.TokenMultiple == 0);

    [Fact]
    public void Each_layer_takes_its_own_codecs_and_later_ones_the_last()
    {
        var layout = new KvLayout(KvElement.BFloat16, 64, [.. Enumerable.Repeat(LayerLayout.Full(2, 64), 4)]);
        var block = BlockCase.Of(layout);
        var (exact, four, two) = ((KvCodec)LosslessCodec.Instance, (KvCodec)new KiviCodec(4, 4, 32), (KvCodec)new KiviCodec(2, 2, 32));
        var plan = new MixedCodec(null, [(exact, exact), (exact, four), (two, two)]);
        var encoded = block.Encode(plan, firstPosition: 64);
        Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(encoded, out var opened));
        Assert.False(opened.Header.IsLossless);
        foreach (var (layer, kind, part) in new[] { (0, PlaneKind.Key, exact), (1, PlaneKind.Key, exact), (1, PlaneKind.Value, four), (2, PlaneKind.Key, two), (3, PlaneKind.Value, two) })
        {
            var alone = block.Encode(part, firstPosition: 64);
            Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(alone, out var other));
            var (own, expected) = (opened.Section(opened.IndexOf(layer, kind)), other.Section(other.IndexOf(layer, kind)));
            Assert.Equal(expected.Checksum, own.Checksum);
            Assert.Equal(expected.Length, own.Length);
        }

        Assert.Equal(BlockCase.Decode(encoded, block.Geometry)[..(2 * 64 * 64 * 2)], block.Bytes[..(2 * 64 * 64 * 2)]);
    }

    [Fact]
    public void A_plan_of_lossless_parts_is_lossless()
    {
        Assert.True(new MixedCodec(null, [(LosslessCodec.Instance, LosslessCodec.Instance)]).IsLossless);
        Assert.False(new MixedCodec(null, [(LosslessCodec.Instance, new KiviCodec(4, 4, 32))]).IsLossless);
    }

    [Fact]
    public void Refuses_empty_plans_and_plans_of_plans()
    {
        Assert.Throws<ArgumentException>(() => new MixedCodec(null, []));
        var plan = CodecRegistry.Standard.Find("mixed-k4-v2")!;
        Assert.Throws<ArgumentException>(() => new MixedCodec(null, [(plan, plan)]));
    }

    [Fact]
    public void No_parameters_make_a_plan_that_was_not_written()
    {
        var random = new Random(77);
        var parameters = CodecRegistry.Standard.Find("mixed-ecq-k3-v2")!.Parameters.ToArray();
        for (var round = 0; round < 2000; round++)
        {
            byte[] spoilt = [.. parameters[..random.Next(parameters.Length + 1)]];
            for (var change = random.Next(4); change > 0 && spoilt.Length > 0; change--)
            {
                spoilt[random.Next(spoilt.Length)] = (byte)random.Next(256);
            }

            var header = new EncodedHeader { Codec = CodecId.Mixed, CodecVersion = 1, ParametersHash = (ulong)round };
            if (CodecRegistry.Standard.TryFind(header, spoilt, out var codec))
            {
                Assert.Equal(spoilt, codec.Parameters.ToArray());
            }
        }
    }

    private static KvCodec Part(KvCodec codec, PlaneKind kind)
    {
        var (keys, values) = PartsOfLayerZero[codec.Name];
        return CodecRegistry.Standard.Find(kind == PlaneKind.Key ? keys : values)!;
    }
}
