using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Tests.Blocks;

namespace KvMesh.Codecs.Tests.Layouts;

public sealed class BlockCopyTests
{
    private static readonly KvLayout Wide = new(
        KvElement.BFloat16, 32, [LayerLayout.Full(8, 16), LayerLayout.Latent(32, 16), LayerLayout.Full(8, 16) with { ValueHeads = 4, ValueChannels = 8 }, LayerLayout.State(96)]);

    public static TheoryData<BlockOrder> Orders => [.. Enum.GetValues<BlockOrder>()];

    [Fact]
    public void Every_byte_of_a_block_belongs_to_one_row()
    {
        foreach (var order in Enum.GetValues<BlockOrder>())
        {
            var geometry = new BlockGeometry(Wide, order, BlockRegion.Whole(Wide));
            var owned = new byte[geometry.Bytes];
            foreach (var plane in geometry.Planes)
            {
                for (var head = 0; head < plane.HeadCount; head++)
                {
                    for (var token = 0; token < geometry.Rows(plane); token++)
                    {
                        foreach (ref var owner in owned.AsSpan(plane.RowOffset(head, token), plane.Shape.RowBytes))
                        {
                            owner++;
                        }
                    }
                }
            }

            Assert.Equal(-1, owned.AsSpan().IndexOfAnyExcept((byte)1));
        }
    }

    [Fact]
    public void Rows_lie_where_engines_put_them()
    {
        var layout = new KvLayout(KvElement.BFloat16, 4, [LayerLayout.Full(2, 8), LayerLayout.Full(2, 8)]);
        const int Row = 16;

        // (layer, kind, head, token) in each order, in rows from the start.
        Assert.Equal(((((((1 * 2) + 1) * 4) + 3) * 2) + 1) * Row, Offset(BlockOrder.LayerPartTokenHead));
        Assert.Equal(((((((1 * 2) + 1) * 2) + 1) * 4) + 3) * Row, Offset(BlockOrder.LayerPartHeadToken));
        Assert.Equal(((((((1 * 2) + 1) * 4) + 3) * 2) + 1) * Row, Offset(BlockOrder.PartLayerTokenHead));
        Assert.Equal(((((((1 * 4) + 3) * 2) + 1) * 2) + 1) * Row, Offset(BlockOrder.LayerTokenPartHead));

        // Keys of the second layer stand before values of the first in LMCache's chunks.
        var lmcache = new BlockGeometry(layout, BlockOrder.PartLayerTokenHead, BlockRegion.Whole(layout));
        Assert.Equal(4 * 2 * Row, lmcache.Planes[lmcache.IndexOf(1, PlaneKind.Key)].Offset);
        Assert.Equal(2 * 4 * 2 * Row, lmcache.Planes[lmcache.IndexOf(0, PlaneKind.Value)].Offset);

        int Offset(BlockOrder order)
        {
            var geometry = new BlockGeometry(layout, order, BlockRegion.Whole(layout));
            return geometry.Planes[geometry.IndexOf(1, PlaneKind.Value)].RowOffset(1, 3);
        }
    }

    [Fact]
    public void A_latent_and_its_rotated_part_lie_side_by_side()
    {
        var layout = KnownModels.Find("deepseek-v3")!;
        var geometry = new BlockGeometry(layout, BlockOrder.LayerPartTokenHead, BlockRegion.Whole(layout));
        var latent = geometry.Planes[geometry.IndexOf(2, PlaneKind.Latent)];
        var rope = geometry.Planes[geometry.IndexOf(2, PlaneKind.LatentRope)];
        Assert.Equal(2 * 256 * 576 * 2, latent.Offset);
        Assert.Equal(latent.Offset + 1024, rope.Offset);
        Assert.Equal((1152, 1152), (latent.TokenStride, rope.TokenStride));
    }

    [Theory]
    [MemberData(nameof(Orders))]
    public void What_is_sliced_at_random_and_put_together_is_the_block(BlockOrder order)
    {
        var random = new Random(31 + (int)order);
        var block = BlockCase.Of(Wide, order);
        for (var round = 0; round < 20; round++)
        {
            var target = new byte[block.Bytes.Length];
            long copied = 0;
            foreach (var region in Cut(random))
            {
                var part = new BlockGeometry(Wide, (BlockOrder)random.Next(1, 5), region);
                var bytes = block.Slice(part);
                copied += BlockCopy.Copy(part, bytes, block.Geometry, target);
            }

            Assert.Equal(block.Bytes, target);
            Assert.True(copied >= target.Length);
        }
    }

    [Fact]
    public void Orders_convert_into_each_other_and_back()
    {
        foreach (var from in Enum.GetValues<BlockOrder>())
        {
            var block = BlockCase.Of(Wide, from);
            foreach (var to in Enum.GetValues<BlockOrder>())
            {
                var other = new BlockGeometry(Wide, to, BlockRegion.Whole(Wide));
                Assert.Equal(block.Bytes, BlockCase.Slice(other, block.Slice(other), block.Geometry));
            }
        }
    }

    [Fact]
    public void Sharding_among_1_2_4_8_and_16_ranks_loses_nothing()
    {
        int[] sizes = [1, 2, 4, 8, 16];
        var layout = new KvLayout(KvElement.BFloat16, 16, [LayerLayout.Full(8, 16), LayerLayout.Latent(32, 16), LayerLayout.Full(8, 16)]);
        var block = BlockCase.Of(layout);
        foreach (var from in sizes)
        {
            var held = Ranks(from).Select(part => (part, (ReadOnlyMemory<byte>)block.Slice(part))).ToArray();
            foreach (var to in sizes)
            {
                var wanted = Ranks(to).Select(part => (part, new Memory<byte>(new byte[part.Bytes]))).ToArray();
                BlockCopy.Reshard(held, wanted);
                Assert.All(wanted, rank => Assert.Equal(block.Slice(rank.part), rank.Item2.ToArray()));
            }
        }

        IEnumerable<BlockGeometry> Ranks(int size) =>
            Enumerable.Range(0, size).Select(rank => new BlockGeometry(layout, BlockOrder.LayerPartTokenHead, BlockRegion.Rank(layout, rank, size)));
    }

    [Fact]
    public void More_ranks_than_heads_hold_the_same_head()
    {
        var plane = new PlaneShape(PlaneKind.Key, 2, 64, KvElement.BFloat16);
        Assert.Equal([0, 0, 0, 0, 1, 1, 1, 1], Enumerable.Range(0, 8).Select(rank => HeadSelection.TensorParallel(rank, 8).Resolve(plane).First));
        Assert.Equal((0, 1), HeadSelection.TensorParallel(5, 8).Resolve(plane with { Kind = PlaneKind.Latent, Heads = 1 }));
    }

    [Fact]
    public void A_part_that_the_sources_do_not_hold_is_refused()
    {
        var block = BlockCase.Of(Wide);
        var half = new BlockGeometry(Wide, BlockOrder.LayerPartTokenHead, BlockRegion.Whole(Wide) with { LayerCount = 2 });
        Assert.Throws<ArgumentException>(() => BlockCopy.Reshard([(half, block.Slice(half))], [(block.Geometry, new byte[block.Bytes.Length])]));
        Assert.Throws<ArgumentException>(() => BlockCopy.Copy(half, block.Bytes, block.Geometry, new byte[block.Bytes.Length]));
        var other = BlockCase.Of(BlockCase.SmallLayout);
        Assert.Throws<ArgumentException>(() => BlockCopy.Copy(other.Geometry, other.Bytes, block.Geometry, new byte[block.Bytes.Length]));
    }

    [Fact]
    public void A_state_is_there_only_at_the_end_of_a_full_block()
    {
        var region = BlockRegion.Whole(Wide);
        Assert.True(new BlockGeometry(Wide, BlockOrder.LayerPartTokenHead, region).IndexOf(3, PlaneKind.State) >= 0);
        Assert.Equal(-1, new BlockGeometry(Wide, BlockOrder.LayerPartTokenHead, region with { TokenCount = 31 }).IndexOf(3, PlaneKind.State));
        Assert.True(new BlockGeometry(Wide, BlockOrder.LayerPartTokenHead, region with { FirstToken = 16, TokenCount = 16 }).IndexOf(3, PlaneKind.State) >= 0);
    }

    [Theory]
    [InlineData(RopeStyle.Half)]
    [InlineData(RopeStyle.Interleaved)]
    public void Rope_styles_convert_into_each_other_and_back(RopeStyle style)
    {
        var layout = BlockCase.SmallLayout.With(style: style);
        var block = BlockCase.Of(layout);
        var bytes = block.Bytes.ToArray();
        var other = RopeStyleConversion.ToOtherStyle(block.Geometry, bytes);
        Assert.NotEqual(block.Bytes, bytes);
        Assert.NotEqual(layout, other);
        Assert.Equal(layout, RopeStyleConversion.ToOtherStyle(new BlockGeometry(other, block.Geometry.Order, block.Geometry.Region), bytes));
        Assert.Equal(block.Bytes, bytes);
    }

    [Fact]
    public void Only_rotating_channels_of_keys_move_between_styles()
    {
        var layout = new KvLayout(KvElement.BFloat16, 1, [LayerLayout.Full(1, 8)], new RopeSpec { Theta = 1e4, RotaryChannels = 6 });
        var geometry = new BlockGeometry(layout, BlockOrder.LayerPartTokenHead, BlockRegion.Whole(layout));
        byte[] bytes = [.. Enumerable.Range(0, 32).Select(value => (byte)value)];
        RopeStyleConversion.ToOtherStyle(geometry, bytes);

        // Channels 0 3, 1 4, 2 5 become neighbours; 6 and 7 and all values stay.
        byte[] keys = [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, 12, 13, 14, 15];
        Assert.Equal([.. keys, .. Enumerable.Range(16, 16).Select(value => (byte)value)], bytes);
    }

    /// <summary>Parts that together are the block, cut at a random layer, head and token.</summary>
    private static IEnumerable<BlockRegion> Cut(Random random)
    {
        var layer = random.Next(1, Wide.Layers.Length);
        var token = random.Next(1, Wide.BlockTokens);
        var head = random.Next(1, 8);
        return
            from layers in new (int First, int Count)[] { (0, layer), (layer, Wide.Layers.Length - layer) }
            from tokens in new (int First, int Count)[] { (0, token), (token, Wide.BlockTokens - token) }
            from heads in new[] { HeadSelection.Range(0, head), HeadSelection.Range(head, 8) }
            let region = new BlockRegion(layers.First, layers.Count, heads, tokens.First, tokens.Count)
            where Wide.BlockBytes(region) > 0
            select region;
    }
}
