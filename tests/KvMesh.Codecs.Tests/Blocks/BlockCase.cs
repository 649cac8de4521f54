using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests.Blocks;

/// <summary>A block full of numbers, and shorthands to encode and decode it.</summary>
internal sealed class BlockCase
{
    public BlockCase(BlockGeometry geometry, int seed = 1)
    {
        Geometry = geometry;
        Bytes = new byte[geometry.Bytes];
        var random = new Random(seed);
        random.NextBytes(Bytes);
        foreach (var plane in geometry.Planes)
        {
            if (plane.Shape.Element != KvElement.Opaque)
            {
                FillPlane(plane, random);
            }
        }
    }

    public BlockGeometry Geometry { get; }

    public byte[] Bytes { get; }

    public static KvLayout SmallLayout { get; } = new(
        KvElement.BFloat16, 64,
        [LayerLayout.Full(4, 64), LayerLayout.Sliding(4, 64, 32), LayerLayout.Full(4, 64) with { KeyAlias = 0 }, LayerLayout.Full(2, 32)],
        new RopeSpec { Theta = 10_000, RotaryChannels = 32 });

    /// <summary>Every kind of layer.</summary>
    public static KvLayout OddLayout { get; } = new(
        KvElement.Float16, 32,
        [
            LayerLayout.Full(2, 64), LayerLayout.Latent(64, 32), LayerLayout.State(1000), LayerLayout.None,
            LayerLayout.Latent(64, 32) with { LatentElement = KvElement.Fp8E4M3, LatentTailBytes = 16 },
            LayerLayout.Full(4, 64) with { ValueHeads = 2, ValueChannels = 32 },
        ]);

    public static BlockCase Of(KvLayout layout, BlockOrder order = BlockOrder.LayerPartTokenHead, int seed = 1) =>
        new(new BlockGeometry(layout, order, BlockRegion.Whole(layout)), seed);

    public byte[] Encode(KvCodec codec, long firstPosition = 0, EncodeOptions options = default, SimdLevel? level = null)
    {
        var buffer = new byte[BlockEncoder.MaxBytes(codec, Geometry)];
        var length = BlockEncoder.Encode(codec, Geometry, Bytes, firstPosition, options, buffer, new CodecScratch(level ?? SimdLevels.Best));
        return buffer[..length];
    }

    public static DecodeResult TryDecode(byte[] encoded, BlockGeometry wanted, out byte[] bytes)
    {
        bytes = new byte[wanted.Bytes];
        return BlockDecoder.Decode(CodecRegistry.Standard, encoded, wanted, bytes, new CodecScratch());
    }

    public static byte[] Decode(byte[] encoded, BlockGeometry wanted)
    {
        Assert.Equal(DecodeResult.Ok, TryDecode(encoded, wanted, out var bytes));
        return bytes;
    }

    /// <summary>What another part of this block holds.</summary>
    public byte[] Slice(BlockGeometry part) => Slice(Geometry, Bytes, part);

    public static byte[] Slice(BlockGeometry from, byte[] bytes, BlockGeometry part)
    {
        var slice = new byte[part.Bytes];
        Assert.Equal(part.Bytes, BlockCopy.Copy(from, bytes, part, slice));
        return slice;
    }

    private void FillPlane(PlaneGeometry plane, Random random)
    {
        var values = new float[plane.Shape.Channels];
        for (var head = 0; head < plane.HeadCount; head++)
        {
            for (var token = 0; token < Geometry.Rows(plane); token++)
            {
                for (var channel = 0; channel < values.Length; channel++)
                {
                    values[channel] = (float)(StripData.Normal(random) + (channel % 13 == 5 ? 6 : 0));
                }

                ElementConversion.FromSingle(plane.Shape.Element, values, Bytes.AsSpan(plane.RowOffset(head, token)), SimdLevel.Scalar);
            }
        }
    }
}
