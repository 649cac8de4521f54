using System.Buffers.Text;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using KvMesh.Client;
using KvMesh.Engine.Coding;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Sequences;
using KvMesh.Server.Coding;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests.Coding;

/// <summary>A whole node that keeps blocks of bf16 numbers in four bits on its disk, seen through its doors.</summary>
public sealed class LossyNodeTests : IDisposable
{
    private const int BlocksPerRound = 40;
    private const string Codec = "kivi4-g64";

    private readonly CoderCase _case = new();
    private readonly TensorCoder _reference;
    private readonly List<byte[]> _payloads = [];

    public LossyNodeTests() => _reference = _case.Open(codecs => codecs.Disk = Codec);

    public void Dispose() => _case.Dispose();

    [Fact]
    public async Task What_leaves_RAM_is_what_its_encoding_decodes_to_and_lossless_readers_miss_it()
    {
        await using var node = await StartAsync();
        var scope = Scope();
        await using var client = await ConnectAsync(node, lossless: false);
        await using var exact = await ConnectAsync(node, lossless: true);
        await FillAsync(client, exact, scope);

        var lossy = (await LossyAsync(client, exact, scope)).Take(5).ToList();
        Assert.NotEmpty(lossy);
        var buffer = new byte[CoderCase.BlockBytes];
        foreach (var index in lossy)
        {
            Assert.Equal(GetStatus.Miss, (await exact.GetAsync(scope, Hash(index), buffer, CancellationToken.None)).Status);
            Assert.Equal(GetStatus.Hit, (await client.GetAsync(scope, Hash(index), buffer, CancellationToken.None)).Status);
            Assert.Equal(Decoded(index), buffer);

            // In RAM by now, and no better for it.
            Assert.Equal(GetStatus.Miss, (await exact.GetAsync(scope, Hash(index), buffer, CancellationToken.None)).Status);
            var present = new bool[1];
            Assert.Equal(0, await exact.ExistsAsync(scope, Hash(index), present, CancellationToken.None));
            Assert.Equal(1, await client.ExistsAsync(scope, Hash(index), present, CancellationToken.None));

            // A connection that takes what there is may want every bit of one request.
            Assert.Equal(GetStatus.Miss, (await client.Lossless.GetAsync(scope, Hash(index), buffer, CancellationToken.None)).Status);
            Assert.Equal(0, await client.Lossless.ExistsAsync(scope, Hash(index), present, CancellationToken.None));
            Assert.Equal(0, (await client.Lossless.MatchPrefixAsync(scope, Hash(index), TimeSpan.Zero, CancellationToken.None)).Blocks);
            Assert.Null(await client.Lossless.LeaseAsync(scope, Hash(index), CancellationToken.None));

            // A writer who has every bit makes it exact again.
            Assert.Equal(PutStatus.Stored, await client.PutAsync(scope, Hash(index), default, PayloadOf(index), CancellationToken.None));
            Assert.Equal(GetStatus.Hit, (await exact.GetAsync(scope, Hash(index), buffer, CancellationToken.None)).Status);
            Assert.Equal(PayloadOf(index), buffer);
        }

        var codec = Assert.Single((await node.GetAsync<NodeStatus>(AdminRoutes.Status)).Coding!.Codecs);
        Assert.Equal(Codec, codec.Name);
        Assert.InRange(codec.Loss!.Blocks, 1, codec.EncodedBlocks);
        Assert.InRange(codec.Loss.Keys!.Value, 0.01, 0.2);
        Assert.InRange(codec.Loss.Values!.Value, 0.01, 0.2);
        Assert.InRange(codec.Loss.Outputs!.Value, 0.005, codec.Loss.WorstOutputs!.Value);
        var figures = await node.Http.GetStringAsync(AdminRoutes.Metrics);
        Assert.Contains("kvmesh_codec_lossy_total{", figures, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_may_not_lose_anything_stays_exact()
    {
        await using var node = await StartAsync();
        var scope = Scope();
        await using var writer = await KvMeshClient.ConnectAsync(OptionsOf(node, losslessWrites: true), CancellationToken.None);
        await using var client = await ConnectAsync(node, lossless: false);
        await using var exact = await ConnectAsync(node, lossless: true);
        await FillAsync(client, exact, scope, (OneIn: 3, writer));

        var (buffer, seen) = (new byte[CoderCase.BlockBytes], 0);
        for (var index = 0; index < _payloads.Count; index += 3)
        {
            if (await BlockAsync(node, scope, index) is not { } block)
            {
                continue;
            }

            Assert.True(block.LosslessOnly);
            Assert.Null(block.Loss);
            Assert.Null(block.LossBelow);
            if ((await exact.GetAsync(scope, Hash(index), buffer, CancellationToken.None)).Status == GetStatus.Hit)
            {
                Assert.True(PayloadOf(index).AsSpan().SequenceEqual(buffer), $"block {index} came back changed");
                seen++;
            }
        }

        Assert.NotEqual(0, seen);
    }

    [Fact]
    public async Task Blocks_of_a_sequence_that_is_lossless_only_may_lose_nothing()
    {
        await using var node = await StartAsync();
        var scope = Scope();
        await using var client = await ConnectAsync(node, lossless: false);
        var opened = await client.Sequences.OpenLosslessAsync("chat", scope, "worker", CancellationToken.None);
        Assert.True(opened is { IsOk: true, Sequence.LosslessOnly: true }, opened.Text);
        Assert.Same(client.Lossless, client.BlocksOf(opened.Sequence!));

        // One was written by somebody who knew nothing of it, one for it, and one has no part in it.
        Assert.Equal(PutStatus.Stored, await client.PutAsync(scope, Hash(0), default, PayloadOf(0), CancellationToken.None));
        Assert.Equal(PutStatus.Stored, await client.BlocksOf(opened.Sequence!).PutAsync(scope, Hash(1), Hash(0), PayloadOf(1), CancellationToken.None));
        Assert.Equal(PutStatus.Stored, await client.PutAsync(scope, Hash(2), default, PayloadOf(2), CancellationToken.None));
        Assert.Equal((false, true), ((await BlockAsync(node, scope, 0))!.LosslessOnly, (await BlockAsync(node, scope, 1))!.LosslessOnly));
        var appended = await client.Sequences.AppendAsync(
            "chat",
            new AppendSegment { Epoch = opened.Sequence!.Epoch, Blocks = 2, Tokens = 32, Bytes = 2, FirstHash = new BlockHash(Hash(0)), LastHash = new BlockHash(Hash(1)) },
            CancellationToken.None);
        Assert.True(appended is { IsOk: true, Sequence.LosslessOnly: true }, appended.Text);

        Assert.True((await BlockAsync(node, scope, 0))!.LosslessOnly);
        Assert.False((await BlockAsync(node, scope, 2))!.LosslessOnly);
        var resumed = await client.Sequences.ResumeAsync("chat", "other", CancellationToken.None);
        Assert.True(resumed is { IsOk: true, Sequence.LosslessOnly: true }, resumed.Text);
        Assert.True((await client.Sequences.ListAsync("", 10, CancellationToken.None)).Sequences.Single().LosslessOnly);
        Assert.True((await node.GetAsync<SequenceStatus>($"{AdminRoutes.Sequences}/chat")).LosslessOnly);
    }

    private static byte[] Hash(int index) => TestBytes.Hash(1, index);

    private static ClientOptions OptionsOf(TestNode node, bool losslessReads = false, bool losslessWrites = false) => new()
    {
        Endpoint = $"tcp://{node.Node.Endpoints.Native}",
        AllowSharedMemory = false,
        RequestTimeout = Eventually.Patience,
        ConnectTimeout = Eventually.Patience,
        LosslessReads = losslessReads,
        LosslessWrites = losslessWrites,
    };

    private static async Task<KvMeshClient> ConnectAsync(TestNode node, bool lossless) =>
        await KvMeshClient.ConnectAsync(OptionsOf(node, losslessReads: lossless), CancellationToken.None);

    private static Task<TestNode> StartAsync() => TestNode.StartAsync(options =>
    {
        File.WriteAllText(Path.Combine(options.DataDirectory, LayoutBook.FileName), CoderCase.Layouts);
        options.Engine.ArenaBytes = 4 << 20;
        options.Engine.Disk.CapacityBytes = 64 << 20;
        options.Engine.Disk.EncodeShare = 1;
        options.Codecs.Disk = Codec;
    });

    private static async Task<BlockStatus?> BlockAsync(TestNode node, BlockScope scope, int index)
    {
        using var response = await node.Http.GetAsync($"{AdminRoutes.Blocks}?key={Base64Url.EncodeToString(scope.KeyOf(Hash(index)))}");
        return response.StatusCode == HttpStatusCode.NotFound ? null : await response.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<BlockStatus>(JsonSerializerOptions.Web);
    }

    private byte[] Decoded(int index)
    {
        var block = CoderCase.Block("tiny:1"u8.ToArray(), CoderCase.BlockBytes);
        Assert.Equal(CodingAdvice.Encode, _reference.Advise(block, out var maxBytes));
        var encoded = new byte[maxBytes];
        var decoded = new byte[CoderCase.BlockBytes];
        Assert.True(_reference.TryDecode(encoded.AsSpan(0, _reference.Encode(block, PayloadOf(index), encoded).Bytes), decoded, out _));
        return decoded;
    }

    private BlockScope Scope() => new("org/Tiny-1", "1", LayoutBook.Load(_case.Options).FindByModel("org/Tiny-1")!.Layout.Hash, 0);

    private async Task FillAsync(KvMeshClient client, KvMeshClient exact, BlockScope scope, (int OneIn, KvMeshClient Writer)? others = null)
    {
        // More and more, until some that had to leave lie encoded: a victim that is not written in time is dropped.
        await Eventually.Holds(
            async () =>
            {
                for (var more = 0; more < BlocksPerRound; more++)
                {
                    var index = _payloads.Count;
                    var writer = others is { } other && index % other.OneIn == 0 ? other.Writer : client;
                    await writer.PutAsync(scope, Hash(index), default, PayloadOf(index), CancellationToken.None);
                }

                return (await LossyAsync(client, exact, scope)).Count > 4;
            },
            "blocks that lost something");
    }

    private byte[] PayloadOf(int index)
    {
        while (_payloads.Count <= index)
        {
            _payloads.Add(CoderCase.Tensor(_payloads.Count, CoderCase.BlockBytes));
        }

        return _payloads[index];
    }

    /// <summary>Blocks that are here, and that lossless readers miss.</summary>
    private async Task<List<int>> LossyAsync(KvMeshClient client, KvMeshClient exact, BlockScope scope)
    {
        var blocks = _payloads.Count;
        var hashes = Enumerable.Range(0, blocks).SelectMany(Hash).ToArray();
        var (present, whole) = (new bool[blocks], new bool[blocks]);
        await client.ExistsAsync(scope, hashes, present, CancellationToken.None);
        await exact.ExistsAsync(scope, hashes, whole, CancellationToken.None);
        return [.. Enumerable.Range(0, blocks).Where(index => present[index] && !whole[index])];
    }
}
