using KvMesh.Protocol.Admin;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests.Coding;

/// <summary>Pairs of keys as LMCache writes them to <c>redis://</c>, of a model that no file describes, through a node that encodes its disk.</summary>
public sealed class LmcachePairTests
{
    private static readonly byte[] Described = CoderCase.Metadata(CoderCase.BlockBytes, 1, 3, 2, 2, 64, 128);

    [Fact]
    public async Task Blocks_that_their_clients_describe_are_encoded_and_come_back()
    {
        await using var node = await StartAsync();
        using var client = await RespBlocks.ConnectAsync(node.Node.Endpoints.Resp!);

        var payloads = await FillAsync(client, node, Described, coding => coding.Codecs.Any(codec => codec.DecodedBlocks > 0), "a block that was decoded");

        var coding = await CodingAsync(node);
        var codec = Assert.Single(coding.Codecs);
        Assert.InRange(codec.EncodedToBytes, 1, codec.EncodedFromBytes * 9 / 10);
        Assert.Equal(0, coding.UndecodableBlocks);
        Assert.NotEmpty(payloads);
    }

    [Theory]
    [InlineData("")]
    [InlineData("000000000100000003000000FFFFFFFF020000004000000080000000")]
    [InlineData("00000200010000000300000002000000040000004000000080000000")]
    [InlineData("68656C6C6F")]
    public async Task Blocks_that_nobody_describes_rightly_stay_as_they_are(string metadata)
    {
        await using var node = await StartAsync();
        using var client = await RespBlocks.ConnectAsync(node.Node.Endpoints.Resp!);

        await FillAsync(client, node, Convert.FromHexString(metadata), coding => coding.Fallbacks.Any(fallback => fallback.Blocks > 0), "a block that stayed as it is");

        Assert.Empty((await CodingAsync(node)).Codecs);
    }

    [Fact]
    public async Task A_description_that_comes_late_changes_nothing_of_what_lies_on_disk()
    {
        await using var node = await StartAsync();
        using var client = await RespBlocks.ConnectAsync(node.Node.Endpoints.Resp!);
        var payloads = await FillAsync(client, node, [], coding => coding.Fallbacks.Any(fallback => fallback.Blocks > 0), "a block that stayed as it is");

        foreach (var index in payloads.Keys)
        {
            await client.SetAsync(KeyOf(index) + "metadata", Described);
        }

        await AssertReadableAsync(client, payloads);
    }

    private static Task<TestNode> StartAsync() => TestNode.StartAsync(options =>
    {
        options.Engine.ArenaBytes = 4 << 20;
        options.Engine.Disk.CapacityBytes = 64 << 20;
        options.Engine.Disk.EncodeShare = 1;
        options.Codecs.Disk = "lossless";
    });

    /// <summary>Writes pairs, more than RAM holds, bytes first as LMCache does, and reads them all, until the node says what is waited for.</summary>
    private static async Task<Dictionary<int, byte[]>> FillAsync(RespBlocks client, TestNode node, byte[] metadata, Func<CodingStatus, bool> isDone, string what)
    {
        var payloads = new Dictionary<int, byte[]>();
        await Eventually.Holds(
            async () =>
            {
                for (var more = 0; more < 24; more++)
                {
                    var index = payloads.Count;
                    payloads[index] = CoderCase.Tensor(index, CoderCase.BlockBytes);
                    await client.SetAsync(KeyOf(index) + "kv_bytes", payloads[index]);
                    if (metadata.Length > 0)
                    {
                        await client.SetAsync(KeyOf(index) + "metadata", metadata);
                    }
                }

                await AssertReadableAsync(client, payloads);
                return isDone(await CodingAsync(node));
            },
            what);
        return payloads;
    }

    /// <summary>A block that was not written to disk in time is gone; none is another.</summary>
    private static async Task AssertReadableAsync(RespBlocks client, Dictionary<int, byte[]> payloads)
    {
        var hits = 0;
        foreach (var (index, payload) in payloads)
        {
            _ = await client.GetAsync(KeyOf(index) + "metadata");
            if (await client.GetAsync(KeyOf(index) + "kv_bytes") is { } value)
            {
                hits++;
                Assert.True(payload.AsSpan().SequenceEqual(value), $"block {index} came back changed");
            }
        }

        Assert.NotEqual(0, hits);
    }

    private static async Task<CodingStatus> CodingAsync(TestNode node) => (await node.GetAsync<NodeStatus>(AdminRoutes.Status)).Coding!;

    private static string KeyOf(int index) => $"nobody/Knows-7B@1@0@{index + 1:x}@bfloat16";
}
