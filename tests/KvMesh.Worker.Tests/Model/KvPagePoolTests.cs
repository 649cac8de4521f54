using KvMesh.Codecs.Layouts;
using KvMesh.Worker.Model.Cache;
using KvMesh.Worker.Model.Files;

namespace KvMesh.Worker.Tests.Model;

public sealed class KvPagePoolTests
{
    private static readonly ModelConfig Config = new()
    {
        Vocabulary = 10,
        Hidden = 32,
        Intermediate = 32,
        Layers = 3,
        Heads = 4,
        KvHeads = 2,
        HeadChannels = 8,
        NormEpsilon = 1e-6f,
        Rope = new RopeSpec { Theta = 10_000, RotaryChannels = 8 },
    };

    [Fact]
    public void Gives_all_blocks_that_are_asked_for_or_none()
    {
        using var pool = new KvPagePool(KvPageFormat.Of(Config, KvElement.BFloat16, 16), 5);
        using var one = pool.NewSequence();
        using var other = pool.NewSequence();

        Assert.True(one.TryReserve(48));
        Assert.True(one.TryReserve(40));
        Assert.Equal((48, 2), (one.CapacityTokens, pool.FreeBlocks));
        Assert.False(other.TryReserve(33));
        Assert.Equal((0, 2), (other.CapacityTokens, pool.FreeBlocks));
        Assert.True(other.TryReserve(32));
        Assert.False(one.TryReserve(49));
        one.Dispose();
        Assert.Equal(3, pool.FreeBlocks);
        Assert.True(other.TryReserve(80));
        Assert.Equal(0, pool.FreeBlocks);
    }

    [Fact]
    public void Rows_lie_where_the_geometry_of_the_layout_says()
    {
        foreach (var order in Enum.GetValues<BlockOrder>())
        {
            var format = KvPageFormat.Of(Config, KvElement.Float16, 16, order);
            var singles = KvPageFormat.OfSingles(Config, 16, order);
            var geometry = new BlockGeometry(format.Layout, order, BlockRegion.Whole(format.Layout));

            Assert.Equal((geometry.Bytes, 2 * geometry.Bytes), (format.BlockBytes, singles.BlockBytes));
            Assert.Equal((16, 32), (format.RowBytes, singles.RowBytes));
            for (var layer = 0; layer < 3; layer++)
            {
                var keys = geometry.Planes[geometry.IndexOf(layer, PlaneKind.Key)];
                var values = geometry.Planes[geometry.IndexOf(layer, PlaneKind.Value)];

                Assert.Equal((keys.RowOffset(1, 5), values.RowOffset(0, 15)), (format.KeyOffset(layer, 1, 5), format.ValueOffset(layer, 0, 15)));
                Assert.Equal(2 * keys.RowOffset(1, 5), singles.KeyOffset(layer, 1, 5));
            }
        }
    }

    [Fact]
    public void Keys_are_computed_in_two_bytes_or_four()
    {
        Assert.Contains("not in Fp8E4M3", Assert.Throws<ArgumentException>(() => KvPageFormat.Of(Config, KvElement.Fp8E4M3, 16)).Message, StringComparison.Ordinal);
    }
}
