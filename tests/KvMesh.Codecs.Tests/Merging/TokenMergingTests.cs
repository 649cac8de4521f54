using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Merging;
using KvMesh.Codecs.Numerics;
using KvMesh.Codecs.Tests.Blocks;

namespace KvMesh.Codecs.Tests.Merging;

public sealed class TokenMergingTests
{
    private static readonly KvLayout Layout = new(KvElement.BFloat16, 32, [LayerLayout.Full(2, 16), LayerLayout.Latent(16, 16), LayerLayout.State(40)]);

    [Fact]
    public void Keys_and_all_that_is_no_value_stay_bit_by_bit()
    {
        var block = BlockCase.Of(Layout);
        int[] kept = [0, 1, 2, 3, 9, 10, 31];
        var (shorter, merged) = Merge(block, kept);
        for (var index = 0; index < shorter.Planes.Length; index++)
        {
            var (from, to) = (block.Geometry.Planes[index], shorter.Planes[index]);
            for (var head = 0; head < from.HeadCount && from.Shape.Kind != PlaneKind.Value; head++)
            {
                for (var row = 0; row < shorter.Rows(to); row++)
                {
                    var token = from.Shape.IsPerToken ? kept[row] : row;
                    Assert.Equal(block.Bytes.AsSpan(from.RowOffset(head, token), from.Shape.RowBytes), merged.AsSpan(to.RowOffset(head, row), to.Shape.RowBytes));
                }
            }
        }
    }

    [Fact]
    public void Where_nothing_is_dropped_nothing_changes()
    {
        var block = BlockCase.Of(Layout);
        Assert.Equal(block.Bytes, Merge(block, [.. Enumerable.Range(0, 32)]).Merged);
    }

    /// <summary>w = cos · ‖v‖ ÷ (‖v‖ + ‖u‖), and (u + w v) ÷ (1 + w).</summary>
    [Fact]
    public void A_value_goes_to_the_token_whose_key_is_most_alike()
    {
        var block = BlockCase.Of(Layout);
        Fill(block, PlaneKind.Key, (token, channel) => channel == token % 16 || (token == 5 && channel == 7) ? 1 : 0);
        Fill(block, PlaneKind.Value, (token, channel) => channel == 0 ? token + 1 : 0);

        // Token 5 has half of its key in common with token 7, and nothing with the others.
        int[] kept = [.. Enumerable.Range(0, 32).Where(token => token is not 5 and not 21)];
        var values = Values(block, kept);
        var weight = Math.Sqrt(0.5) * 6 / (6 + 8);
        Assert.Equal((8 + (weight * 6)) / (1 + weight), values[6], 0.04);
        Assert.Equal(5, values[4]);
        Assert.Equal(9, values[7]);
    }

    [Fact]
    public void Twins_lose_nothing()
    {
        var block = BlockCase.Of(Layout);
        Fill(block, PlaneKind.Key, (token, channel) => Math.Sin((token / 2 * 7) + channel));
        Fill(block, PlaneKind.Value, (token, channel) => Math.Cos((token / 2 * 5) + channel));
        int[] kept = [.. Enumerable.Range(0, 16).Select(pair => 2 * pair)];
        var (shorter, merged) = Merge(block, kept);
        var plane = shorter.Planes[shorter.IndexOf(0, PlaneKind.Value)];
        var from = block.Geometry.Planes[block.Geometry.IndexOf(0, PlaneKind.Value)];
        for (var row = 0; row < 16; row++)
        {
            for (var channel = 0; channel < 16; channel++)
            {
                var expected = Bf16.ToSingle(BitConverter.ToUInt16(block.Bytes, from.RowOffset(1, kept[row]) + (2 * channel)));
                Assert.Equal(expected, Bf16.ToSingle(BitConverter.ToUInt16(merged, plane.RowOffset(1, row) + (2 * channel))), 0.01);
            }
        }
    }

    [Fact]
    public void No_value_goes_farther_than_keys_can_be_compared()
    {
        var block = BlockCase.Of(Layout);
        Fill(block, PlaneKind.Key, (_, _) => 1);
        var (shorter, merged) = Merge(block, [0]);
        var near = BlockCase.Of(Layout);
        Fill(near, PlaneKind.Key, (_, _) => 1);
        Fill(near, PlaneKind.Value, (token, channel) => token > TokenMerging.MostDistance ? 100 : double.NaN, onlyNumbers: true);
        var (_, changed) = Merge(near, [0]);
        Assert.Equal(merged.AsSpan(shorter.Planes[1].Offset, 32), changed.AsSpan(shorter.Planes[1].Offset, 32));
    }

    [Fact]
    public void All_instructions_merge_to_the_same_bytes()
    {
        var block = BlockCase.Of(Layout);
        int[] kept = [0, 4, 8, 9, 20, 30];
        var expected = Merge(block, kept, SimdLevel.Scalar).Merged;
        Assert.All(SimdLevels.OfThisProcessor, level => Assert.Equal(expected, Merge(block, kept, level).Merged));
    }

    [Fact]
    public void What_does_not_fit_is_refused()
    {
        var block = BlockCase.Of(Layout);
        Assert.Throws<ArgumentException>(() => Merge(block, [3, 3]));
        Assert.Throws<ArgumentException>(() => Merge(block, [3, 32]));
        Assert.Throws<ArgumentException>(() => TokenMerging.Merge(block.Geometry, block.Bytes, [1], block.Geometry, new byte[block.Bytes.Length], new CodecScratch()));
    }

    private static (BlockGeometry Shorter, byte[] Merged) Merge(BlockCase block, int[] kept, SimdLevel? level = null)
    {
        var shorter = new BlockGeometry(Layout, BlockOrder.LayerPartTokenHead, BlockRegion.Whole(Layout) with { TokenCount = kept.Length });
        var merged = new byte[shorter.Bytes];
        TokenMerging.Merge(block.Geometry, block.Bytes, kept, shorter, merged, new CodecScratch(level ?? SimdLevels.Best));
        return (shorter, merged);
    }

    /// <summary>The first number of each value of the first head.</summary>
    private static float[] Values(BlockCase block, int[] kept)
    {
        var (shorter, merged) = Merge(block, kept);
        var plane = shorter.Planes[shorter.IndexOf(0, PlaneKind.Value)];
        return [.. Enumerable.Range(0, kept.Length).Select(row => Bf16.ToSingle(BitConverter.ToUInt16(merged, plane.RowOffset(0, row))))];
    }

    private static void Fill(BlockCase block, PlaneKind kind, Func<int, int, double> valueAt, bool onlyNumbers = false)
    {
        var plane = block.Geometry.Planes[block.Geometry.IndexOf(0, kind)];
        for (var head = 0; head < plane.HeadCount; head++)
        {
            for (var token = 0; token < 32; token++)
            {
                for (var channel = 0; channel < plane.Shape.Channels; channel++)
                {
                    var value = valueAt(token, channel);
                    if (!onlyNumbers || !double.IsNaN(value))
                    {
                        BitConverter.TryWriteBytes(block.Bytes.AsSpan(plane.RowOffset(head, token) + (2 * channel)), Bf16.FromSingle((float)value));
                    }
                }
            }
        }
    }
}
