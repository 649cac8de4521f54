using KvMesh.Client.Progressive;
using KvMesh.TestKit;

namespace KvMesh.Client.Tests;

/// <summary>Blocks that are read while they are written.</summary>
public sealed class SectionTests
{
    private const int SectionBytes = 100_000;
    private const int BlockBytes = 750_000;
    private const int Sections = 8;

    private readonly byte[] _payload = TestBytes.Payload(5, BlockBytes);
    private readonly byte[] _hash = TestBytes.Hash(1, 1);

    [Theory]
    [InlineData(ClientTransport.Tcp, false)]
    [InlineData(ClientTransport.Unix, true)]
    [InlineData(ClientTransport.SharedMemory, false)]
    public async Task A_reader_has_each_section_as_soon_as_it_is_published(ClientTransport transport, bool blocking)
    {
        await using var node = new NodeFixture();
        var prefill = await node.ConnectAsync(transport, blocking);
        var decode = await node.ConnectAsync(transport, blocking);
        await using var writer = await BeginAsync(prefill);
        var destination = new byte[BlockBytes];
        await using var reader = decode.FollowAsync(NodeFixture.Scope, _hash, SectionBytes, destination, Eventually.Patience, default).GetAsyncEnumerator();
        for (var section = 0; section < Sections; section++)
        {
            Assert.Equal(PutStatus.Stored, await PublishAsync(writer));
            Assert.True(await reader.MoveNextAsync().AsTask().Within("a section"));
            Assert.Equal((SectionStatus.Ready, section, BlockBytes), (reader.Current.Status, reader.Current.Section, reader.Current.BlockBytes));
            Assert.True(reader.Current.Bytes.Span.SequenceEqual(_payload.AsSpan(section * SectionBytes, Math.Min(SectionBytes, BlockBytes - (section * SectionBytes)))));
        }

        Assert.False(await reader.MoveNextAsync());
        Assert.True(writer.IsOver);
        Assert.Equal(_payload, destination);
        Assert.Equal(new GetResult(GetStatus.Hit, BlockBytes), await decode.GetAsync(NodeFixture.Scope, _hash, destination, default));
        Assert.Equal(PutStatus.AlreadyPresent, (await BeginAsync(prefill)).Status);
    }

    [Fact]
    public async Task Many_readers_follow_one_writer()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync();
        await using var writer = await BeginAsync(client);
        var reading = Enumerable.Range(0, 6).Select(_ => ReadAllAsync(client, Eventually.Patience)).ToArray();

        while (!writer.IsOver)
        {
            await PublishAsync(writer);
        }

        foreach (var (status, sections, bytes) in await Task.WhenAll(reading).Within("the readers"))
        {
            Assert.Equal((SectionStatus.Ready, Sections), (status, sections));
            Assert.Equal(_payload, bytes);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Readers_are_told_when_the_writer_leaves(bool loses)
    {
        await using var node = new NodeFixture();
        var prefill = await node.ConnectAsync();
        var decode = await node.ConnectAsync();
        var writer = await BeginAsync(prefill);
        await PublishAsync(writer);
        var reading = ReadAllAsync(decode, Eventually.Patience);

        if (loses)
        {
            await prefill.DisposeAsync();
        }
        else
        {
            await writer.DisposeAsync();
        }

        var (status, sections, bytes) = await reading.Within("the end of the read");
        Assert.True((status, sections) is (SectionStatus.WriterGone, 1) or (SectionStatus.Miss, 0), $"{status} after {sections} sections");
        Assert.Equal(_payload[..(sections * SectionBytes)], bytes[..(sections * SectionBytes)]);
        Assert.Equal(PutStatus.Failed, await PublishAsync(writer, 1));
    }

    [Fact]
    public async Task A_put_of_the_same_bytes_lets_the_readers_go_on_and_one_of_others_ends_them()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync();
        foreach (var differs in new[] { false, true })
        {
            var sealedBytes = (byte[])_payload.Clone();
            sealedBytes[0] ^= (byte)(differs ? 1 : 0);
            await using var writer = await BeginAsync(client);
            await PublishAsync(writer);
            await using var reader = client.FollowAsync(NodeFixture.Scope, _hash, SectionBytes, new byte[BlockBytes], Eventually.Patience, default).GetAsyncEnumerator();
            Assert.True(await reader.MoveNextAsync().AsTask().Within("a section"));

            Assert.Equal(PutStatus.Stored, await client.PutAsync(NodeFixture.Scope, _hash, default, sealedBytes, default));

            Assert.True(await reader.MoveNextAsync().AsTask().Within("the next step"));
            Assert.Equal(differs ? SectionStatus.Diverged : SectionStatus.Ready, reader.Current.Status);
            Assert.Equal(PutStatus.AlreadyPresent, await PublishAsync(writer));
            Assert.True(await client.RemoveAsync(NodeFixture.Scope, _hash, default));
        }
    }

    [Fact]
    public async Task A_section_that_does_not_come_in_time_ends_the_read()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync();
        await using var writer = await BeginAsync(client);
        await PublishAsync(writer);

        var (status, sections, _) = await ReadAllAsync(client, TimeSpan.FromMilliseconds(50)).Within("the end of the read");

        Assert.Equal((SectionStatus.TimedOut, 1), (status, sections));
    }

    [Fact]
    public async Task A_read_is_cancelled_while_it_waits()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync();
        await using var writer = await BeginAsync(client);
        await PublishAsync(writer);
        using var stop = new CancellationTokenSource();
        await using var reader = client.FollowAsync(NodeFixture.Scope, _hash, SectionBytes, new byte[BlockBytes], Eventually.Patience, stop.Token).GetAsyncEnumerator(stop.Token);
        Assert.True(await reader.MoveNextAsync().AsTask().Within("a section"));
        var next = reader.MoveNextAsync().AsTask();

        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => next.Within("the end of the wait"));
    }

    [Fact]
    public async Task Blocks_that_nobody_has_or_that_do_not_fit_say_so()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync();
        Assert.Equal((SectionStatus.Miss, 0), (await ReadAllAsync(client, Eventually.Patience)) is var (status, sections, _) ? (status, sections) : default);
        await client.PutAsync(NodeFixture.Scope, _hash, default, _payload, default);

        await foreach (var step in client.FollowAsync(NodeFixture.Scope, _hash, SectionBytes, new byte[BlockBytes - 1], Eventually.Patience, default))
        {
            Assert.Equal((SectionStatus.TooSmall, BlockBytes), (step.Status, step.BlockBytes));
        }
    }

    [Fact]
    public async Task A_node_that_goes_away_ends_writers_and_readers()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync();
        var writer = await BeginAsync(client);
        await PublishAsync(writer);
        var reading = ReadAllAsync(client, Eventually.Patience);

        await node.CutOffAsync();

        Assert.NotEqual(SectionStatus.Ready, (await reading.Within("the end of the read")).Status);
        Assert.Equal(PutStatus.Failed, await PublishAsync(writer));
        await writer.DisposeAsync();
        node.Restart();
    }

    [Fact]
    public async Task Refuses_arguments_that_make_no_sense()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync();
        var error = await Assert.ThrowsAsync<ArgumentException>(() => client.BeginSectionsAsync(NodeFixture.Scope, _hash, default, 10, 11, default).AsTask());
        Assert.StartsWith("sectionBytes is 11 of blockBytes 10; it must be 1 to blockBytes, in at most 4096 sections.", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => client.FollowAsync(NodeFixture.Scope, _hash, 0, default, default, default));
        await using var writer = await BeginAsync(client);
        error = await Assert.ThrowsAsync<ArgumentException>(() => writer.PublishAsync(new byte[5], default).AsTask());
        Assert.StartsWith($"section 0 has 5 bytes; it must have {SectionBytes}.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_writer_that_is_cancelled_while_it_begins_holds_nothing()
    {
        // Writes that nobody ends would hold their room for longer than the test has patience.
        await using var node = new NodeFixture(options => options.ProgressiveWriteTimeout = TimeSpan.FromHours(1));
        var client = await node.ConnectAsync();
        for (var attempt = 0; attempt < 60; attempt++)
        {
            using var leaving = new CancellationTokenSource();
            var begin = client.BeginSectionsAsync(NodeFixture.Scope, TestBytes.Hash(2, attempt), default, BlockBytes, SectionBytes, leaving.Token).AsTask();
            await leaving.CancelAsync();
            await using var begun = await begin.ContinueWith(ended => ended.IsCompletedSuccessfully ? ended.Result : null, TaskScheduler.Default);
        }

        await Eventually.Holds(
            async () =>
            {
                await using var writer = await BeginAsync(client);
                return writer.Status == PutStatus.Stored;
            },
            "room for a write after many that were cancelled");
    }

    [Fact]
    public async Task Several_blocks_are_followed_layer_by_layer_on_one_connection()
    {
        await using var node = new NodeFixture();
        var prefill = await node.ConnectAsync();
        var decode = await node.ConnectAsync();
        var hashes = Enumerable.Range(0, 3).Select(block => TestBytes.Hash(3, block)).ToArray();
        var payloads = Enumerable.Range(0, 3).Select(block => TestBytes.Payload(20 + block, 3000)).ToArray();
        var targets = hashes.Select(hash => new SectionTarget(NodeFixture.Scope, hash, new byte[3000])).ToArray();

        // The reader is there before the writer: it asks again.
        await using var reader = decode.FollowManyAsync(targets, 1000, Eventually.Patience, default).GetAsyncEnumerator();
        var next = reader.MoveNextAsync().AsTask();
        var writers = new List<SectionWriter>();
        foreach (var hash in hashes)
        {
            writers.Add(await prefill.BeginSectionsAsync(NodeFixture.Scope, hash, default, 3000, 1000, default));
        }

        for (var section = 0; section < 3; section++)
        {
            for (var block = 0; block < 3; block++)
            {
                Assert.Equal(PutStatus.Stored, await writers[block].PublishAsync(payloads[block].AsMemory(section * 1000, 1000), default));
                Assert.True(await next.Within("a section"));
                Assert.Equal((block, SectionStatus.Ready, section), (reader.Current.Target, reader.Current.Result.Status, reader.Current.Result.Section));
                next = reader.MoveNextAsync().AsTask();
            }
        }

        Assert.False(await next.Within("the end"));
        Assert.All(Enumerable.Range(0, 3), block => Assert.Equal(payloads[block], targets[block].Destination.ToArray()));
    }

    [Fact]
    public async Task A_block_of_several_that_its_writer_leaves_ends_them_all()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync();
        var targets = Enumerable.Range(0, 2).Select(block => new SectionTarget(NodeFixture.Scope, TestBytes.Hash(4, block), new byte[3000])).ToArray();
        await using var writer = await client.BeginSectionsAsync(NodeFixture.Scope, targets[0].Hash, default, 3000, 1000, default);
        Assert.Equal(PutStatus.Stored, await writer.PublishAsync(new byte[1000], default));

        var steps = new List<TargetSection>();
        await foreach (var step in client.FollowManyAsync(targets, 1000, TimeSpan.FromMilliseconds(50), default))
        {
            steps.Add(step);
        }

        Assert.Equal([(0, SectionStatus.Ready), (1, SectionStatus.Miss)], steps.Select(step => (step.Target, step.Result.Status)));
    }

    private async Task<SectionWriter> BeginAsync(KvMeshClient client) =>
        await client.BeginSectionsAsync(NodeFixture.Scope, _hash, default, BlockBytes, SectionBytes, default);

    private async Task<PutStatus> PublishAsync(SectionWriter writer, int? section = null)
    {
        var start = (section ?? writer.Published) * SectionBytes;
        return await writer.PublishAsync(_payload.AsMemory(start, Math.Min(SectionBytes, BlockBytes - start)), default);
    }

    private async Task<(SectionStatus Status, int Sections, byte[] Bytes)> ReadAllAsync(KvMeshClient client, TimeSpan timeout)
    {
        var bytes = new byte[BlockBytes];
        var sections = 0;
        await foreach (var step in client.FollowAsync(NodeFixture.Scope, _hash, SectionBytes, bytes, timeout, default))
        {
            if (step.Status != SectionStatus.Ready)
            {
                return (step.Status, sections, bytes);
            }

            sections++;
        }

        return (SectionStatus.Ready, sections, bytes);
    }
}
