using KvMesh.Protocol.Admin;
using KvMesh.Server.Coding;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests.Coding;

/// <summary>A whole node that keeps blocks of LMCache encoded on its disk, over RESP.</summary>
public sealed class EncodedNodeTests
{
    [Fact]
    public async Task Blocks_of_LMCache_are_encoded_on_disk_and_come_back_bit_by_bit()
    {
        await using var node = await TestNode.StartAsync(options =>
        {
            File.WriteAllText(Path.Combine(options.DataDirectory, LayoutBook.FileName), CoderCase.Layouts);
            options.Engine.ArenaBytes = 4 << 20;
            options.Engine.Disk.CapacityBytes = 64 << 20;
            options.Engine.Disk.EncodeShare = 1;
            options.Codecs.Disk = "lossless";
        });
        using var client = await RespBlocks.ConnectAsync(node.Node.Endpoints.Resp!);
        var payloads = new List<byte[]>();

        // More than the arena holds, and on until blocks that had to leave it were read back.
        await Eventually.Holds(
            async () =>
            {
                for (var more = 0; more < 24; more++)
                {
                    payloads.Add(CoderCase.Tensor(payloads.Count, CoderCase.BlockBytes));
                    await client.SetAsync(KeyOf(payloads.Count - 1), payloads[^1]);
                }

                for (var index = 0; index < payloads.Count; index++)
                {
                    if (await client.GetAsync(KeyOf(index)) is { } value)
                    {
                        // As spans: the comparer of the assertion boxes every byte, which takes a busy machine long.
                        Assert.True(payloads[index].AsSpan().SequenceEqual(value), $"block {index} came back changed");
                    }
                }

                return (await StatusAsync(node)).Coding!.Codecs.Any(codec => codec.DecodedBlocks > 0);
            },
            "a block that was decoded from disk");

        var status = await StatusAsync(node);
        var codec = Assert.Single(status.Coding!.Codecs);
        Assert.Equal("lossless", codec.Name);
        Assert.InRange(codec.EncodedToBytes, 1, codec.EncodedFromBytes * 9 / 10);
        Assert.Equal(0, status.Coding.UndecodableBlocks);
        Assert.Equal(0, status.Integrity.Mismatches);
        var figures = await node.Http.GetStringAsync(AdminRoutes.Metrics);
        Assert.Contains("kvmesh_codec_decoded_total{kvmesh_codec=\"lossless\",kvmesh_tier=\"disk\"}", figures, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_without_a_policy_encodes_nothing()
    {
        await using var node = await TestNode.StartAsync(options => options.Engine.Disk.CapacityBytes = 64 << 20);

        var coding = (await StatusAsync(node)).Coding!;

        Assert.Empty(coding.Codecs);
        Assert.All(coding.Fallbacks, fallback => Assert.Equal(0, fallback.Blocks));
    }

    private static Task<NodeStatus> StatusAsync(TestNode node) => node.GetAsync<NodeStatus>(AdminRoutes.Status);

    private static string KeyOf(int index) => $"org/Tiny-1@1@0@{index + 1:x}@bfloat16";
}
