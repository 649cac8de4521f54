using System.Text;
using KvMesh.Client;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Payloads;
using KvMesh.Protocol.Admin;
using KvMesh.Server.Coding;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests.Coding;

/// <summary>A native client that decodes what a whole node keeps encoded on its disk.</summary>
public sealed class EncodedReadTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Blocks_come_encoded_from_the_disk_and_decode_to_what_was_put(bool isDescribed)
    {
        var layout = new KvLayout(KvElement.BFloat16, 64, Enumerable.Repeat(LayerLayout.Full(2, 64), 2), new RopeSpec { Theta = 10000, RotaryChannels = 64 });
        await using var node = await TestNode.StartAsync(options =>
        {
            File.WriteAllText(Path.Combine(options.DataDirectory, LayoutBook.FileName), CoderCase.Layouts);
            options.Engine.ArenaBytes = 4 << 20;
            options.Engine.Disk.CapacityBytes = 64 << 20;
            options.Engine.Disk.EncodeShare = 1;
            options.Codecs.Disk = "lossless";
        });
        await using var client = await KvMeshClient.ConnectAsync(
            new ClientOptions
            {
                Endpoint = $"tcp://{node.Node.Endpoints.Native}",
                AllowSharedMemory = false,
                Decoder = isDescribed ? new PayloadDecoder(layout) : new PayloadDecoder(),
                RequestTimeout = Eventually.Patience,
                ConnectTimeout = Eventually.Patience,
            },
            default);
        var payloads = new List<byte[]>();

        await Eventually.Holds(
            async () =>
            {
                for (var more = 0; more < 24; more++)
                {
                    payloads.Add(CoderCase.Tensor(payloads.Count, CoderCase.BlockBytes));
                    await client.PutKeyAsync(KeyOf(payloads.Count - 1), payloads[^1], default);
                }

                var destination = new byte[CoderCase.BlockBytes];
                for (var index = 0; index < payloads.Count; index++)
                {
                    if ((await client.GetKeyAsync(KeyOf(index), destination, default)).IsHit)
                    {
                        Assert.True(payloads[index].AsSpan().SequenceEqual(destination), $"block {index} came back changed");
                    }
                }

                return (isDescribed ? client.Encoded.Blocks : client.Encoded.Undecoded) > 0;
            },
            "a block that came encoded");

        var figures = client.Encoded;
        Assert.Equal(0, figures.Mismatches);
        Assert.Equal(isDescribed, figures.Undecoded == 0);
        Assert.Equal(isDescribed, figures.Blocks > 0);
        Assert.True(!isDescribed || figures.ReceivedBytes <= figures.BlockBytes * 8 / 10, $"{figures.ReceivedBytes} bytes came for {figures.BlockBytes}");
        Assert.Equal(0, (await node.GetAsync<NodeStatus>(AdminRoutes.Status)).Integrity.Mismatches);
    }

    private static byte[] KeyOf(int index) => Encoding.UTF8.GetBytes($"tiny:{index}");
}
