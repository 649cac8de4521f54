using System.Buffers.Binary;
using KvMesh.Gateway.Sockets;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Native;

/// <summary>Blocks that are read while they are written, as bytes of a session.</summary>
public sealed class SectionVerbTests : IDisposable
{
    private const int SectionBytes = 40_000;
    private const int BlockBytes = 100_000;

    private readonly NativeSessionFixture _node = new();
    private readonly byte[] _payload = TestBytes.Payload(3, BlockBytes);

    public void Dispose() => _node.Dispose();

    [Fact]
    public void Sections_come_as_they_were_published_and_the_block_is_there_after_the_last()
    {
        var write = Begin();
        var proof = 0u;
        for (var section = 0; section < 3; section++)
        {
            Assert.Equal(NativeStatus.NotYet, Follow(section, proof).Status);
            Assert.Equal(NativeStatus.Ok, Publish(write, section).Status);

            var answer = Follow(section, proof);

            Assert.True(SectionFollowResponse.TryRead(answer.Head, SectionBytes, answer.Payload.Length, out var response));
            Assert.Equal(((uint)BlockBytes, (uint)section, 1u, section == 2), (response.BlockBytes, response.First, response.Count, response.IsSealed));
            Assert.Equal(Section(section), answer.Payload);
            Assert.Equal(Crc32C.Compute(answer.Payload), BinaryPrimitives.ReadUInt32LittleEndian(response.Checksums));
            proof = SectionProof.Append(proof, Crc32C.Compute(answer.Payload));
        }

        Assert.Equal(_payload, _node.Ask(Verb.Get, writer => NativeSessionFixture.Get(writer, 1)).Payload);
        Assert.Equal(NativeStatus.Miss, Publish(write, 2).Status);
        Assert.Equal(NativeStatus.AlreadyPresent, _node.Ask(Verb.SectionBegin, BeginHead(BlockBytes, SectionBytes)).Status);
    }

    [Fact]
    public void All_that_is_published_comes_at_once_to_who_takes_it()
    {
        var write = Begin();
        Publish(write, 0);
        Publish(write, 1);

        Assert.Equal(_payload[..(2 * SectionBytes)], Follow(0, 0, maxBytes: 1 << 20).Payload);
    }

    [Fact]
    public void Wrong_bytes_are_not_published_and_can_be_sent_again()
    {
        var write = Begin();

        Assert.Equal(NativeStatus.Mismatch, _node.Ask(Verb.SectionPublish, writer => new SectionPublishRequest(write, 0, 1).WriteTo(writer), Section(0)).Status);
        Assert.Equal(NativeStatus.NotYet, Follow(0, 0).Status);
        Assert.Equal(NativeStatus.Ok, Publish(write, 0).Status);
        Assert.Equal(Section(0), Follow(0, 0).Payload);
    }

    [Fact]
    public void The_end_of_the_connection_ends_the_write()
    {
        var write = Begin();
        Publish(write, 0);

        _node.Reconnect();

        Assert.Equal(NativeStatus.Miss, Follow(1, SectionProof.Append(0, Crc32C.Compute(Section(0)))).Status);
        Assert.Equal(NativeStatus.Miss, Publish(write, 1).Status);
        Assert.Equal(0, _node.Engine.Engine.ProgressiveWrites);
    }

    [Fact]
    public void A_connection_that_breaks_off_in_a_section_leaves_nothing_behind()
    {
        var write = Begin();
        var frame = _node.Frame(Verb.SectionPublish, PublishHead(write, 0), Section(0));
        _node.Channel.Closes = true;

        // As the host does: what a session throws ends its connection.
        Assert.ThrowsAny<IOException>(() => _node.Send(frame[..^100], SessionOutcome.Close));
        _node.Reconnect();

        Assert.Equal(NativeStatus.Miss, Follow(0, 0).Status);
        Assert.Equal(0, _node.Engine.Engine.Snapshot().Arenas.Sum(arena => arena.AllocatedBytes));
    }

    [Fact]
    public void An_abandoned_write_is_a_miss()
    {
        var write = Begin();
        Publish(write, 0);

        Assert.Equal(NativeStatus.Ok, _node.Ask(Verb.SectionAbandon, writer => writer.WriteUInt64(write)).Status);

        Assert.Equal(NativeStatus.Miss, Follow(0, 0).Status);
        Assert.Equal(NativeStatus.Miss, _node.Ask(Verb.SectionAbandon, writer => writer.WriteUInt64(write)).Status);
    }

    [Fact]
    public void Other_bytes_than_the_reader_has_are_told_apart()
    {
        var write = Begin();
        Publish(write, 0);

        Assert.Equal(NativeStatus.Diverged, Follow(1, 12345).Status);
    }

    [Fact]
    public void A_block_that_changed_in_RAM_is_a_miss()
    {
        _node.Ask(Verb.Put, NativeSessionFixture.Put(1, BlockBytes), NativeSessionFixture.Trailed(_payload));
        Assert.True(_node.Engine.Engine.TryRead(
            _node.Engine.Tenant, NativeSessionFixture.Scope.KeyOf(TestBytes.Hash(1, 1)), KvMesh.Engine.Blocks.ReadIntent.Inspect, out var read));
        System.Runtime.CompilerServices.Unsafe.AsRef(in read.Payload[70_000]) ^= 1;
        read.Dispose();

        Assert.Equal(NativeStatus.Miss, Follow(0, 0, maxBytes: 1 << 20).Status);
        Assert.Equal(NativeStatus.Miss, _node.Ask(Verb.Get, writer => NativeSessionFixture.Get(writer, 1)).Status);
    }

    [Fact]
    public void A_reader_beyond_those_that_may_wait_is_refused()
    {
        using var node = new NativeSessionFixture(change: options => options with { MaxWatchers = 0 });
        node.Ask(Verb.SectionBegin, BeginHead(BlockBytes, SectionBytes));

        var answer = node.Ask(Verb.SectionFollow, FollowHead(0, 0, 1, waitMilliseconds: 100));

        Assert.Equal((NativeStatus.Unavailable, "SectionFollow: 0 readers wait already, the limit of this node."), (answer.Status, answer.Text));
    }

    [Fact]
    public void Refuses_what_makes_no_sense_with_field_value_and_limit()
    {
        AssertRefused(Verb.SectionBegin, BeginHead(10, 0), "SectionBegin: section bytes is 0 of a block of 10; it must be 1 to the block's, in at most 4096 sections.");
        AssertRefused(Verb.SectionBegin, BeginHead(10, 11), "SectionBegin: section bytes is 11 of a block of 10; it must be 1 to the block's, in at most 4096 sections.");
        AssertRefused(Verb.SectionBegin, BeginHead(4097, 1), "SectionBegin: section bytes is 1 of a block of 4097; it must be 1 to the block's, in at most 4096 sections.");
        AssertRefused(
            Verb.SectionBegin,
            writer =>
            {
                new SectionBeginRequest { BlockBytes = 10, SectionBytes = 5 }.Write(writer);
                writer.WriteOpaque("key"u8);
            },
            "SectionBegin: the key is opaque; only blocks of a chain can be read while they are written.");
        Assert.Equal(NativeStatus.TooLarge, _node.Ask(Verb.SectionBegin, BeginHead(2 << 20, 1 << 20)).Status);
        AssertRefused(Verb.SectionAbandon, writer => writer.WriteUInt32(1), "SectionAbandon: the head must be u64.");
        AssertRefused(Verb.SectionFollow, FollowHead(5000, 0, 1), $"SectionFollow: section is 5000, at most 4096 is possible; section bytes is {SectionBytes}, 1 to 134217728 are possible.");
        var write = Begin();
        AssertRefused(Verb.SectionPublish, PublishHead(write, 1), "SectionPublish: section 1 of 40000 bytes was given; section 0 of 40000 is the next.", Section(0));
        AssertRefused(Verb.SectionPublish, PublishHead(write, 0), "SectionPublish: section 0 of 20000 bytes was given; section 0 of 40000 is the next.", Section(2));
        AssertRefused(Verb.SectionPublish, writer => writer.WriteUInt32(1), "SectionPublish: the head must be u64, u32, u32.", Section(0));
        Assert.Equal(NativeStatus.Ok, Publish(write, 0).Status);
    }

    private static Action<FrameWriter> BeginHead(uint blockBytes, uint sectionBytes) => writer =>
    {
        new SectionBeginRequest { BlockBytes = blockBytes, SectionBytes = sectionBytes }.Write(writer);
        writer.WriteChain(NativeSessionFixture.Scope.Bytes.Span, TestBytes.Hash(1, 1));
    };

    private static Action<FrameWriter> FollowHead(int section, uint proof, uint maxBytes, uint waitMilliseconds = 0) => writer =>
    {
        new SectionFollowRequest((uint)section, SectionBytes, proof, maxBytes, waitMilliseconds).Write(writer);
        writer.WriteChain(NativeSessionFixture.Scope.Bytes.Span, TestBytes.Hash(1, 1));
    };

    private void AssertRefused(Verb verb, Action<FrameWriter> head, string text, byte[]? payload = null)
    {
        var answer = _node.Ask(verb, head, payload);
        Assert.Equal((NativeStatus.BadRequest, text), (answer.Status, answer.Text));
    }

    private byte[] Section(int section) => _payload[(section * SectionBytes)..Math.Min((section + 1) * SectionBytes, BlockBytes)];

    private Action<FrameWriter> PublishHead(ulong write, int section) => writer => new SectionPublishRequest(write, (uint)section, Crc32C.Compute(Section(section))).WriteTo(writer);

    private ulong Begin()
    {
        var answer = _node.Ask(Verb.SectionBegin, BeginHead(BlockBytes, SectionBytes));
        Assert.Equal(NativeStatus.Ok, answer.Status);
        return BinaryPrimitives.ReadUInt64LittleEndian(answer.Head);
    }

    private Answer Publish(ulong write, int section) => _node.Ask(Verb.SectionPublish, PublishHead(write, section), Section(section));

    private Answer Follow(int section, uint proof, uint maxBytes = 1) => _node.Ask(Verb.SectionFollow, FollowHead(section, proof, maxBytes));
}
