using KvMesh.Engine.Coding;
using KvMesh.Protocol.Admin;
using KvMesh.Server.Coding;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests.Coding;

/// <summary>A whole node without a disk that keeps blocks of LMCache encoded in RAM, over RESP.</summary>
public sealed class EncodedRamNodeTests : IDisposable
{
    private readonly CoderCase _case = new();
    private readonly List<byte[]> _payloads = [];

    public void Dispose() => _case.Dispose();

    [Theory]
    [InlineData("lossless")]
    [InlineData("kivi4-g64")]
    public async Task Blocks_in_RAM_are_encoded_and_read_as_they_were_or_as_their_encoding_decodes(string codec)
    {
        await using var node = await TestNode.StartAsync(options =>
        {
            File.WriteAllText(Path.Combine(options.DataDirectory, LayoutBook.FileName), CoderCase.Layouts);
            options.Engine.ArenaBytes = 4 << 20;
            options.Engine.HostCoding.EncodeShare = 1;
            options.Engine.HostCoding.EncodeFrom = 0;
            options.Codecs.Host = codec;
        });
        using var client = await RespBlocks.ConnectAsync(node.Node.Endpoints.Resp!);
        var reference = _case.Open(codecs => codecs.Disk = codec);

        await Eventually.Holds(
            async () =>
            {
                for (var more = 0; more < 24; more++)
                {
                    _payloads.Add(CoderCase.Tensor(_payloads.Count, CoderCase.BlockBytes));
                    await client.SetAsync(KeyOf(_payloads.Count - 1), _payloads[^1]);
                }

                await ReadAllAsync(client, reference);
                return (await HostAsync(node)).Codecs.Any(used => used.DecodedBlocks > 0);
            },
            "a block that was decoded from RAM");

        var host = await HostAsync(node);
        var used = Assert.Single(host.Codecs);
        Assert.Equal(codec, used.Name);
        Assert.InRange(used.EncodedToBytes, 1, used.EncodedFromBytes * 9 / 10);
        Assert.Equal(codec == "lossless", used.Loss is null);
        Assert.Equal(0, host.UndecodableBlocks);
        Assert.Equal(0, (await StatusAsync(node)).Integrity.Mismatches);
    }

    /// <summary>What is there has the bytes that were written, or those that their encoding decodes to, and never any others.</summary>
    private async Task ReadAllAsync(RespBlocks client, TensorCoder reference)
    {
        for (var index = 0; index < _payloads.Count; index++)
        {
            if (await client.GetAsync(KeyOf(index)) is { } value)
            {
                Assert.True(
                    _payloads[index].AsSpan().SequenceEqual(value) || Decoded(reference, index).AsSpan().SequenceEqual(value), $"block {index} came back changed");
            }
        }
    }

    private byte[] Decoded(TensorCoder reference, int index)
    {
        var block = CoderCase.Block(System.Text.Encoding.ASCII.GetBytes(KeyOf(index)), CoderCase.BlockBytes);
        Assert.Equal(CodingAdvice.Encode, reference.Advise(block, out var maxBytes));
        var encoded = new byte[maxBytes];
        var decoded = new byte[CoderCase.BlockBytes];
        Assert.True(reference.TryDecode(encoded.AsSpan(0, reference.Encode(block, _payloads[index], encoded).Bytes), decoded, out _));
        return decoded;
    }

    private static async Task<CodingStatus> HostAsync(TestNode node) => (await StatusAsync(node)).Codings!.Single(tier => tier.Tier == "host").Coding;

    private static Task<NodeStatus> StatusAsync(TestNode node) => node.GetAsync<NodeStatus>(AdminRoutes.Status);

    private static string KeyOf(int index) => $"org/Tiny-1@1@0@{index + 1:x}@bfloat16";
}
