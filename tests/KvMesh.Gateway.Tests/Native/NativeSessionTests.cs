using KvMesh.Gateway.Sockets;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Native;

/// <summary>What the native door answers to requests, right and wrong ones.</summary>
public sealed class NativeSessionTests
{
    [Fact]
    public void Wants_a_hello_first_and_only_once()
    {
        using var early = new NativeSessionFixture(isGreeted: false);
        Assert.Equal(NativeStatus.HelloRequired, early.Ask(Verb.Ping, expected: SessionOutcome.Close).Status);

        using var twice = new NativeSessionFixture();
        Assert.Equal(NativeStatus.BadRequest, twice.Ask(Verb.Hello, NativeSessionFixture.Hello, expected: SessionOutcome.Close).Status);
    }

    [Fact]
    public void Refuses_versions_that_it_does_not_speak_by_name()
    {
        using var range = new NativeSessionFixture(isGreeted: false);
        var refusal = range.Ask(Verb.Hello, writer => new HelloRequest { LowestVersion = 2, HighestVersion = 9 }.Write(writer), expected: SessionOutcome.Close);
        Assert.Equal(NativeStatus.UnsupportedVersion, refusal.Status);
        Assert.Contains("version 1", refusal.Text, StringComparison.Ordinal);

        using var frame = new NativeSessionFixture();
        var other = frame.Frame(Verb.Ping);
        other[4] = 7;
        BitConverter.TryWriteBytes(other.AsSpan(28), Crc32C.Compute(other.AsSpan(0, 28)));
        Assert.Equal(NativeStatus.UnsupportedVersion, Assert.Single(frame.Send(other, SessionOutcome.Close)).Status);
    }

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(1, 2, 2)]
    [InlineData(2, 9, 2)]
    public void Talks_in_the_highest_version_that_both_speak(byte lowest, byte highest, byte agreed)
    {
        using var node = new NativeSessionFixture(isGreeted: false, change: options => options with { Versions = new NativeVersions(1, 2) });

        var hello = Assert.Single(node.Send(node.Frame(
            Verb.Hello, writer => new HelloRequest { LowestVersion = lowest, HighestVersion = highest }.Write(writer), version: lowest)));
        Assert.Equal((NativeStatus.Ok, agreed), (hello.Status, hello.Header.Version));
        Assert.True(HelloResponse.TryRead(hello.Head, out var greeting));
        Assert.Equal(agreed, greeting.Version);

        var ping = Assert.Single(node.Send(node.Frame(Verb.Ping, version: agreed)));
        Assert.Equal((NativeStatus.Ok, agreed), (ping.Status, ping.Header.Version));
        var other = (byte)(3 - agreed);
        Assert.Equal(NativeStatus.UnsupportedVersion, Assert.Single(node.Send(node.Frame(Verb.Ping, version: other), SessionOutcome.Close)).Status);
    }

    [Fact]
    public void Ends_a_connection_whose_frames_are_broken_without_an_answer()
    {
        for (var offset = 0; offset < FrameHeader.Bytes; offset++)
        {
            using var node = new NativeSessionFixture();
            var frame = node.Frame(Verb.Ping);
            frame[offset] ^= 0x80;
            Assert.Empty(node.Send(frame, SessionOutcome.Close));
        }

        using var response = new NativeSessionFixture();
        Assert.Empty(response.Send(response.Frame(Verb.Ping, flags: FrameFlags.Response), SessionOutcome.Close));
    }

    [Fact]
    public void Answers_an_unknown_verb_and_goes_on()
    {
        using var node = new NativeSessionFixture();
        var answers = node.Send([.. node.Frame((Verb)200), .. node.Frame(Verb.Ping)]);
        Assert.Equal([NativeStatus.UnknownVerb, NativeStatus.Ok], answers.Select(answer => answer.Status));
        Assert.Contains("200", answers[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Refuses_bytes_behind_requests_that_take_none_and_goes_on()
    {
        using var node = new NativeSessionFixture();
        var answers = node.Send([.. node.Frame(Verb.Ping, payload: new byte[200_000]), .. node.Frame((Verb)99, payload: new byte[7]), .. node.Frame(Verb.Ping)]);
        Assert.Equal([NativeStatus.BadRequest, NativeStatus.BadRequest, NativeStatus.Ok], answers.Select(answer => answer.Status));
    }

    [Fact]
    public void Every_head_that_is_cut_is_refused_and_the_connection_goes_on()
    {
        using var node = new NativeSessionFixture();
        (Verb Verb, Action<FrameWriter> Head)[] requests =
        [
            (Verb.Get, writer => NativeSessionFixture.Get(writer, 0)),
            (Verb.Put, NativeSessionFixture.Put(0, 0)),
            (Verb.Match, writer => { writer.WriteUInt32(1); writer.WriteChain(NativeSessionFixture.Scope.Bytes.Span, TestBytes.Hash(1, 1)); }),
            (Verb.Exists, writer => { writer.WriteUInt32(1); writer.WriteOpaque("key"u8); }),
            (Verb.Remove, writer => writer.WriteOpaque("key"u8)),
            (Verb.Offer, writer => { writer.WriteUInt32(1); writer.WriteUInt32(1); writer.WriteOpaque("key"u8); }),
            (Verb.Report, writer => writer.WriteOpaque("key"u8)),
            (Verb.Watch, writer => new WatchRequest(0, 1, 0).Write(writer)),
        ];
        foreach (var (verb, head) in requests)
        {
            var whole = HeadOf(node.Frame(verb, head));
            for (var length = 0; length < whole.Length; length++)
            {
                var payload = verb == Verb.Put ? new byte[4] : null;
                var answer = node.Ask(verb, writer => writer.WriteBytes(whole.AsSpan(0, length)), payload);
                Assert.True(answer.Status.IsRefusal() && answer.Text.Length > 0, $"{verb} cut to {length} bytes: {answer.Status}");
            }
        }
    }

    [Fact]
    public void Answers_pipelined_requests_in_order_and_in_one_send()
    {
        using var node = new NativeSessionFixture();
        var sends = node.Channel.SendCount;
        var answers = node.Send([.. Enumerable.Range(0, 50).SelectMany(_ => node.Frame(Verb.Ping))]);
        Assert.Equal(answers.Select(answer => answer.Header.RequestId).Order(), answers.Select(answer => answer.Header.RequestId));
        Assert.Equal(50, answers.Count);
        Assert.Equal(1, node.Channel.SendCount - sends);
    }

    [Fact]
    public void Serves_a_stream_that_is_cut_at_every_byte()
    {
        using var node = new NativeSessionFixture();
        var block = TestBytes.Payload(1, 1000);
        byte[] stream = [.. node.Frame(Verb.Put, NativeSessionFixture.Put(1, block.Length), NativeSessionFixture.Trailed(block)), .. node.Frame(Verb.Get, writer => NativeSessionFixture.Get(writer, 1))];
        for (var piece = 1; piece < 400; piece++)
        {
            node.Channel.PieceBytes = piece;
            var answers = node.Send(stream);
            Assert.Equal(piece == 1 ? NativeStatus.Ok : NativeStatus.AlreadyPresent, answers[0].Status);
            Assert.Equal(block, answers[1].Payload);
        }
    }

    [Fact]
    public void A_put_that_is_cut_at_any_byte_leaves_nothing_behind()
    {
        using var node = new NativeSessionFixture();
        var block = TestBytes.Payload(1, 300);
        var frame = node.Frame(Verb.Put, NativeSessionFixture.Put(1, block.Length), NativeSessionFixture.Trailed(block));
        node.Channel.Closes = true;
        for (var length = 1; length < frame.Length; length++)
        {
            using var cut = new NativeSessionFixture();
            cut.Channel.Closes = true;
            cut.Channel.Queue(frame[..length]);
            Assert.Throws<ChannelException>(() => cut.Session.Run(cut.Channel));
            Assert.Null(cut.Engine.Get(NativeSessionFixture.Scope.KeyOf(TestBytes.Hash(1, 1))));
            if (length > frame.Length - 20)
            {
                Assert.Equal(0, cut.Engine.Engine.Snapshot().Arenas.Sum(arena => arena.AllocatedBytes));
            }
        }
    }

    [Fact]
    public void Bytes_that_do_not_match_their_checksums_are_never_stored()
    {
        using var node = new NativeSessionFixture();
        var whole = NativeSessionFixture.Trailed(TestBytes.Payload(1, 200_000));
        foreach (var offset in new[] { 0, 65_535, 65_536, 199_999, 200_000, whole.Length - 5, whole.Length - 1 })
        {
            var damaged = whole.ToArray();
            damaged[offset] ^= 1;
            Assert.Equal(NativeStatus.Mismatch, node.Ask(Verb.Put, NativeSessionFixture.Put(1, 200_000), damaged).Status);
            Assert.Equal(NativeStatus.Miss, node.Ask(Verb.Get, writer => NativeSessionFixture.Get(writer, 1)).Status);
        }

        Assert.Equal(NativeStatus.Ok, node.Ask(Verb.Put, NativeSessionFixture.Put(1, 200_000), whole).Status);
    }

    [Fact]
    public void A_block_over_the_limit_is_told_so_and_read_past()
    {
        using var node = new NativeSessionFixture(maxBlockBytes: 1000);
        var answers = node.Send([.. node.Frame(Verb.Put, NativeSessionFixture.Put(1, 1001), NativeSessionFixture.Trailed(new byte[1001])), .. node.Frame(Verb.Ping)]);
        Assert.Equal([NativeStatus.TooLarge, NativeStatus.Ok], answers.Select(answer => answer.Status));
    }

    [Fact]
    public void A_put_whose_lengths_contradict_each_other_is_refused_with_both()
    {
        using var node = new NativeSessionFixture();
        var refusal = node.Ask(Verb.Put, NativeSessionFixture.Put(1, 999), NativeSessionFixture.Trailed(new byte[1000]));
        Assert.Equal(NativeStatus.BadRequest, refusal.Status);
        Assert.Contains("1008", refusal.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Too_many_keys_are_refused_with_the_limit()
    {
        using var node = new NativeSessionFixture();
        var refusal = node.Ask(Verb.Remove, writer => writer.WriteChain(NativeSessionFixture.Scope.Bytes.Span, new byte[(Limits.MaxBlocksPerRequest + 1) * 32]));
        Assert.Equal(NativeStatus.LimitExceeded, refusal.Status);
        Assert.Contains("4096", refusal.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Shared_memory_is_refused_off_the_unix_socket()
    {
        using var node = new NativeSessionFixture();
        Assert.Equal(NativeStatus.NotSupported, node.Ask(Verb.Attach).Status);
        Assert.Equal(NativeStatus.NotSupported, node.Ask(Verb.Staging, writer => writer.WriteUInt64(4096)).Status);
        Assert.Equal(NativeStatus.NotSupported, node.Ask(Verb.Lease, writer =>
        {
            new LeaseRequest().Write(writer);
            writer.WriteOpaque("key"u8);
        }).Status);
    }

    [Fact]
    public void A_notice_is_not_answered()
    {
        using var node = new NativeSessionFixture();
        Assert.Empty(node.Send(node.Frame(Verb.Report, writer => writer.WriteOpaque("key"u8), flags: FrameFlags.NoReply)));
        Assert.Empty(node.Send(node.Frame(Verb.Release, writer => writer.WriteUInt32(0), flags: FrameFlags.NoReply)));
        Assert.Empty(node.Send(node.Frame(Verb.Release, writer => writer.WriteUInt32(1), flags: FrameFlags.NoReply)));
    }

    private static byte[] HeadOf(byte[] frame)
    {
        var headBytes = BitConverter.ToInt32(frame, 24);
        return frame[FrameHeader.Bytes..(FrameHeader.Bytes + headBytes)];
    }

    [Fact]
    public async Task A_watcher_that_waits_is_answered_when_the_node_stops()
    {
        using var stop = new CancellationTokenSource();
        using var node = new NativeSessionFixture(stopping: stop.Token);
        var asked = Eventually.Run(() => node.Ask(Verb.Watch, writer => new WatchRequest(0, 10, NativeLimits.MaxWatchWaitMilliseconds).Write(writer)));
        await stop.CancelAsync();
        var answer = await asked.Within("the answer to the watcher");
        Assert.Equal(NativeStatus.Ok, answer.Status);
        var reader = new HeadReader(answer.Head);
        Assert.Equal(0u, WatchResponse.Read(ref reader).Count);
    }
}
