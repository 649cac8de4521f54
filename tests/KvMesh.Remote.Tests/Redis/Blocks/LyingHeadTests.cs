using System.Globalization;
using System.Net.Sockets;
using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Protocol.Integrity;
using KvMesh.Remote.Redis.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Redis.Blocks;

/// <summary>
/// Blocks in a real redis-server whose heads have right checksums and say what is not so: they are misses, and the reader goes on. And which of two
/// writers a block in Redis is of.
/// </summary>
public sealed class LyingHeadTests : IAsyncLifetime
{
    private const int PayloadBytes = 100_000;
    private static readonly byte[] Payload = TestBytes.Payload(1, PayloadBytes);

    private TierServer _server = null!;

    public async Task InitializeAsync() => _server = await TierServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Theory]
    [InlineData(PayloadBytes / 2, false)]
    [InlineData(2 * PayloadBytes, false)]
    [InlineData(0, true)]
    [InlineData(-1, true)]
    public async Task A_length_that_the_bytes_do_not_have_is_a_miss(int blockBytes, bool cannotBe)
    {
        using var origin = Node(new RoundingCoder());
        using var reader = Node(new RoundingCoder());
        Assert.True(origin.Store(TierNode.Key(1), Payload));
        await ChangeAsync((in RecordHead head, Span<byte> index) => BitConverter.TryWriteBytes(index[head.NameBytes..], blockBytes));

        if (cannotBe)
        {
            await AssertMissAsync(reader);
            return;
        }

        // It may be of a layout that others know.
        Assert.Null(reader.Read(TierNode.Key(1)));
        Assert.Equal(1, reader.Metrics.Unreadable);
    }

    [Theory]
    [InlineData(PayloadBytes / 2, false)]
    [InlineData(2 * PayloadBytes, false)]
    [InlineData(PayloadBytes, true)]
    public async Task A_block_that_lies_as_it_is_and_is_said_to_be_another_is_a_miss(int blockBytes, bool hasOtherChecksum)
    {
        var (lossy, loss) = (RoundingCoder.Lossy(Payload), RoundingCoder.Loss);
        using var origin = Node(null);
        using var reader = Node(new RoundingCoder());
        Assert.True(origin.Store(TierNode.Key(1), lossy));
        await RewriteAsync(value =>
        {
            // As a node without a codec writes a block that it has got lossy.
            Assert.True(RecordHead.TryRead(value, out var head));
            var told = head with { Flags = RecordFlags.Lossy };
            var changed = new byte[value.Length + told.CodedBytes];
            told.Write(changed);
            var names = RecordHead.Bytes + head.NameBytes;
            value.AsSpan(RecordHead.Bytes, head.NameBytes).CopyTo(changed.AsSpan(RecordHead.Bytes));
            new CodedIndex(blockBytes, head.TableChecksum ^ (hasOtherChecksum ? 1u : 0)).Write(changed.AsSpan(names));
            loss.Write(changed.AsSpan(names + CodedIndex.Bytes));
            value.AsSpan(names).CopyTo(changed.AsSpan(names + told.CodedBytes));
            return changed;
        });

        await AssertMissAsync(reader);
    }

    [Fact]
    public async Task A_loss_that_is_no_loss_is_a_miss()
    {
        using var origin = Node(new RoundingCoder());
        using var reader = Node(new RoundingCoder());
        Assert.True(origin.Store(TierNode.Key(1), Payload));
        await ChangeAsync((in RecordHead head, Span<byte> index) => BitConverter.TryWriteBytes(index[(head.NameBytes + CodedIndex.Bytes + 4)..], float.PositiveInfinity));

        await AssertMissAsync(reader);
    }

    [Fact]
    public async Task A_loss_that_was_not_measured_is_told_as_such()
    {
        using var origin = Node(new RoundingCoder());
        using var reader = Node(new RoundingCoder());
        Assert.True(origin.Store(TierNode.Key(1), Payload));
        await ChangeAsync((in RecordHead head, Span<byte> index) => index.Slice(head.NameBytes + CodedIndex.Bytes + 4, 12).Fill(0xFF));

        Assert.True(reader.Engine.TryReadAnywhere(reader.Tenant, TierNode.Key(1), out var read));
        using (read)
        {
            Assert.Equal(RoundingCoder.Lossy(Payload), read.Payload.ToArray());
            Assert.True(float.IsNaN(read.Loss!.Keys) && float.IsNaN(read.Loss.Values) && float.IsNaN(read.Loss.Outputs));
        }
    }

    [Fact]
    public async Task A_lossy_block_that_is_said_to_be_exact_is_never_given_for_the_exact_one()
    {
        using var origin = Node(new RoundingCoder());
        using var reader = Node(new RoundingCoder());
        Assert.True(origin.Store(TierNode.Key(1), Payload));
        await RewriteAsync(value =>
        {
            // The flag is gone and the loss with it, but not what its encoding decodes to.
            Assert.True(RecordHead.TryRead(value, out var head));
            var names = RecordHead.Bytes + head.NameBytes;
            byte[] changed = [.. value.AsSpan(0, names + CodedIndex.Bytes), .. value.AsSpan(names + head.CodedBytes)];
            (head with { Flags = RecordFlags.None }).Write(changed);
            var checksum = new uint[ChecksumTable.EntryCount(PayloadBytes)];
            ChecksumTable.Compute(Payload, checksum);
            new CodedIndex(PayloadBytes, ChecksumTable.Seal(checksum)).Write(changed.AsSpan(names));
            return changed;
        });

        Assert.Null(reader.Read(TierNode.Key(1)));
        Assert.Equal(1, reader.Metrics.Mismatches);
    }

    [Fact]
    public async Task A_codec_that_nobody_here_knows_is_a_miss_and_stays_for_others()
    {
        using var origin = Node(new RoundingCoder());
        using var reader = Node(new BrotliCoder { Forgets = true });
        Assert.True(origin.Store(TierNode.Key(1), Payload));
        await RewriteAsync(value =>
        {
            Assert.True(RecordHead.TryRead(value, out var head));
            (head with { Codec = 251 }).Write(value);
            return value;
        });

        Assert.Null(reader.Read(TierNode.Key(1)));

        Assert.Equal(1, reader.Metrics.Unreadable);
        Assert.Single(await BlockKeysAsync());
    }

    [Fact]
    public void What_may_lose_nothing_is_written_anew_where_a_lossy_copy_lies()
    {
        using var lossy = Node(new RoundingCoder());
        using var strict = Node(new RoundingCoder());
        using var reader = Node(new RoundingCoder());
        Assert.True(lossy.Store(TierNode.Key(1), Payload));
        strict.Test.Put(TierNode.Key(1), Payload, new BlockTraits { IsContent = true, Model = "model", Revision = "1", LosslessOnly = true });

        Assert.True(strict.Offer(TierNode.Key(1)));

        Assert.Equal((1, 0), (strict.Metrics.Written, strict.Metrics.Renewed));
        Assert.Equal(Payload, reader.Read(TierNode.Key(1)));

        // An exact copy is good enough for everybody.
        Assert.True(lossy.Offer(TierNode.Key(1)));
        Assert.Equal((1, 1), (lossy.Metrics.Written, lossy.Metrics.Renewed));
    }

    private TierNode Node(IPayloadCoder? coder) => new(_server.Address, options => options.EncodeShare = 1, coder: coder);

    private async Task AssertMissAsync(TierNode reader)
    {
        Assert.Null(reader.Read(TierNode.Key(1)));
        Assert.Equal(1, reader.Metrics.Malformed);
        await Eventually.Holds(async () => (await BlockKeysAsync()).Length == 0, "the block to go from Redis");
    }

    private async Task<string[]> BlockKeysAsync() => [.. (await _server.KeysAsync()).Where(key => !key.Contains("scopes", StringComparison.Ordinal))];

    /// <summary>Changes what stands between the head and the payload.</summary>
    private Task ChangeAsync(HeadChange change) => RewriteAsync(value =>
    {
        Assert.True(RecordHead.TryRead(value, out var head));
        change(head, value.AsSpan(RecordHead.Bytes, head.IndexBytes));
        return value;
    });

    /// <summary>Puts another value in the place of the only block's.</summary>
    private async Task RewriteAsync(Func<byte[], byte[]> change)
    {
        var key = Encoding.ASCII.GetBytes(Assert.Single(await BlockKeysAsync()));
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(_server.Address));
        await using var stream = new NetworkStream(socket);
        await SendAsync(stream, "GET"u8.ToArray(), key);
        var value = new byte[int.Parse((await ReadLineAsync(stream))[1..], CultureInfo.InvariantCulture)];
        await stream.ReadExactlyAsync(value);
        Assert.Equal("", await ReadLineAsync(stream));
        await SendAsync(stream, "SET"u8.ToArray(), key, change(value));
        Assert.Equal("+OK", await ReadLineAsync(stream));
    }

    private static async Task SendAsync(Stream stream, params byte[][] arguments)
    {
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"*{arguments.Length}\r\n"));
        foreach (var argument in arguments)
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"${argument.Length}\r\n"));
            await stream.WriteAsync(argument);
            await stream.WriteAsync("\r\n"u8.ToArray());
        }
    }

    private static async Task<string> ReadLineAsync(Stream stream)
    {
        var line = new StringBuilder();
        for (var one = new byte[1]; !line.ToString().EndsWith("\r\n", StringComparison.Ordinal); line.Append((char)one[0]))
        {
            await stream.ReadExactlyAsync(one);
        }

        return line.ToString()[..^2];
    }

    private delegate void HeadChange(in RecordHead head, Span<byte> index);
}
