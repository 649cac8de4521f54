using KvMesh.Engine.Coding;
using KvMesh.Remote.Redis.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Redis.Blocks;

/// <summary>The contract of far tiers with blocks that are encoded where that makes them shorter.</summary>
public sealed class EncodedRedisBlockTierTests : RedisBlockTierTests
{
    private protected override IPayloadCoder Coder() => new BrotliCoder();
}

/// <summary>Blocks that lie encoded in Redis, on a real redis-server.</summary>
public sealed class EncodedBlockTests : IAsyncLifetime
{
    private const int PayloadBytes = 300_000;

    private TierServer _server = null!;

    public async Task InitializeAsync() => _server = await TierServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Theory]
    [InlineData(10_000)]
    [InlineData(PayloadBytes)]
    [InlineData(20 << 20)]
    public async Task A_block_is_shorter_in_Redis_and_comes_back_bit_by_bit(int bytes)
    {
        using var origin = Node(new BrotliCoder());
        using var reader = Node(new BrotliCoder { Advice = CodingAdvice.Raw });
        var payload = Compressible(bytes);
        Assert.True(origin.Store(TierNode.Key(1), payload));

        var key = Assert.Single(await BlockKeysAsync());
        Assert.InRange(int.Parse(await _server.AskAsync("STRLEN", key)), 1, bytes / 2);
        Assert.Equal(payload, reader.Read(TierNode.Key(1)));
        Assert.Equal((1, 1), (origin.Metrics.Encoded, reader.Metrics.Decoded));
        Assert.Equal(bytes, origin.Metrics.EncodedFromBytes);
    }

    [Fact]
    public void An_encrypted_block_is_encoded_before_it_is_encrypted()
    {
        using var folder = new TemporaryDirectory();
        var file = Path.Combine(folder.Path, "key");
        File.WriteAllBytes(file, TestBytes.Payload(7, 32));
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        using var origin = new TierNode(_server.Address, options => options.KeyFiles.Add(file), coder: new BrotliCoder());
        using var reader = new TierNode(_server.Address, options => options.KeyFiles.Add(file), coder: new BrotliCoder());
        Assert.True(origin.Store(TierNode.Key(1), Compressible(PayloadBytes)));

        Assert.Equal(Compressible(PayloadBytes), reader.Read(TierNode.Key(1)));
        Assert.Equal(1, reader.Metrics.Decoded);
    }

    [Fact]
    public void What_does_not_become_shorter_is_written_as_it_is()
    {
        using var origin = Node(new BrotliCoder());
        using var reader = Node(null);
        Assert.True(origin.Store(TierNode.Key(1), TestBytes.Payload(1, PayloadBytes)));

        Assert.Equal(TestBytes.Payload(1, PayloadBytes), reader.Read(TierNode.Key(1)));
        Assert.Equal((0, 1), (origin.Metrics.Encoded, origin.Metrics.NotEncoded));
    }

    [Fact]
    public void A_codec_that_loses_a_bit_is_not_believed()
    {
        using var origin = Node(new BrotliCoder { SpoilsEncoded = payload => payload[^1] ^= 1 });
        using var reader = Node(new BrotliCoder());
        Assert.True(origin.Store(TierNode.Key(1), Compressible(PayloadBytes)));

        Assert.Equal(Compressible(PayloadBytes), reader.Read(TierNode.Key(1)));
        Assert.Equal((0, 0), (origin.Metrics.Encoded, reader.Metrics.Decoded));
    }

    [Fact]
    public async Task What_decodes_to_other_bytes_is_a_miss_and_goes()
    {
        using var origin = Node(new BrotliCoder());
        using var reader = Node(new BrotliCoder { SpoilsDecoded = payload => payload[5] ^= 1 });
        Assert.True(origin.Store(TierNode.Key(1), Compressible(PayloadBytes)));

        Assert.Null(reader.Read(TierNode.Key(1)));
        Assert.Equal(1, reader.Metrics.Mismatches);
        await Eventually.Holds(async () => (await BlockKeysAsync()).Length == 0, "the block to go from Redis");
    }

    [Fact]
    public async Task Who_cannot_decode_a_block_leaves_it_to_others()
    {
        using var origin = Node(new BrotliCoder());
        using var without = Node(null);
        using var forgetful = Node(new BrotliCoder { Forgets = true });
        using var reader = Node(new BrotliCoder());
        Assert.True(origin.Store(TierNode.Key(1), Compressible(PayloadBytes)));

        Assert.Null(without.Read(TierNode.Key(1)));
        Assert.Null(forgetful.Read(TierNode.Key(1)));

        Assert.Single(await BlockKeysAsync());
        Assert.Equal((1, 1), (without.Metrics.Unreadable, forgetful.Metrics.Unreadable));
        Assert.Equal(Compressible(PayloadBytes), reader.Read(TierNode.Key(1)));
    }

    [Fact]
    public void A_block_that_is_there_is_renewed_however_it_was_written()
    {
        using var raw = Node(new BrotliCoder { Advice = CodingAdvice.Raw });
        using var encoding = Node(new BrotliCoder());
        Assert.True(raw.Store(TierNode.Key(1), Compressible(PayloadBytes)));
        Assert.True(encoding.Store(TierNode.Key(1), Compressible(PayloadBytes)));
        Assert.True(encoding.Store(TierNode.Key(2), Compressible(PayloadBytes)));
        Assert.True(raw.Store(TierNode.Key(2), Compressible(PayloadBytes)));

        Assert.Equal((1, 1), (raw.Metrics.Renewed, encoding.Metrics.Renewed));
        Assert.Equal((0, 1), (raw.Metrics.Encoded, encoding.Metrics.Encoded));
    }

    [Fact]
    public void A_head_says_what_its_block_decodes_to()
    {
        var bytes = new byte[CodedIndex.Bytes];
        new CodedIndex(5, 0x01020304).Write(bytes);
        Assert.Equal("05000000" + "04030201" + "0000000000000000", Convert.ToHexStringLower(bytes));
        Assert.True(CodedIndex.TryRead(bytes, out var read));
        Assert.Equal(new CodedIndex(5, 0x01020304), read);

        bytes[15] = 1;
        Assert.False(CodedIndex.TryRead(bytes, out _));
        Assert.False(CodedIndex.TryRead(bytes.AsSpan(1), out _));
        new CodedIndex(0, 1).Write(bytes);
        Assert.False(CodedIndex.TryRead(bytes, out _));
        new CodedIndex(int.MaxValue, 1).Write(bytes);
        Assert.False(CodedIndex.TryRead(bytes, out _));
    }

    private TierNode Node(IPayloadCoder? coder) => new(_server.Address, options => options.EncodeShare = 1, coder: coder);

    private async Task<string[]> BlockKeysAsync() => [.. (await _server.KeysAsync()).Where(key => !key.Contains("scopes", StringComparison.Ordinal))];

    /// <summary>The same bytes again and again, and never quite.</summary>
    private static byte[] Compressible(int bytes) => [.. Enumerable.Range(0, bytes).Select(index => (byte)((index % 97) + (index >> 12)))];
}
