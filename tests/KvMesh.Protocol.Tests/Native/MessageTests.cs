using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Protocol.Tests.Native;

/// <summary>Messages read back what was written, and refuse heads that are cut or contradict themselves.</summary>
public sealed class MessageTests
{
    [Fact]
    public void A_greeting_comes_back_as_it_was_written()
    {
        Assert.True(HelloRequest.TryRead(HeadOf("hello-request"), out var request));
        Assert.Equal((1, 1), (request.LowestVersion, request.HighestVersion));
        Assert.True(request.Token.SequenceEqual("secret"u8));
        Assert.True(request.TenantName.SequenceEqual("red"u8));

        Assert.True(HelloResponse.TryRead(HeadOf("hello-response"), out var response));
        Assert.Equal(("node-1", "red", "/run/kvmesh/native.sock"), (response.NodeId, response.Tenant, response.UnixSocketPath));
        Assert.Equal(TimeSpan.FromSeconds(30), response.MaxResidenceLease);
        Assert.Equal(3, response.Incarnation);
    }

    [Fact]
    public void Greetings_that_are_cut_are_refused_and_longer_ones_are_read()
    {
        for (var length = 0; length < HeadOf("hello-request").Length; length++)
        {
            Assert.False(HelloRequest.TryRead(HeadOf("hello-request").AsSpan(0, length), out _));
        }

        for (var length = 0; length < HeadOf("hello-response").Length; length++)
        {
            Assert.False(HelloResponse.TryRead(HeadOf("hello-response").AsSpan(0, length), out _));
        }

        Assert.True(HelloRequest.TryRead([.. HeadOf("hello-request"), 1, 2, 3], out _));
        Assert.True(HelloResponse.TryRead([.. HeadOf("hello-response"), 1, 2, 3], out _));
    }

    [Fact]
    public void A_token_over_the_limit_is_refused()
    {
        var frame = Frames.Build(Verb.Hello, FrameFlags.None, NativeStatus.Ok, writer =>
            new HelloRequest { LowestVersion = 1, HighestVersion = 1, Token = new byte[NativeLimits.MaxTokenBytes + 1] }.Write(writer));
        Assert.False(HelloRequest.TryRead(frame.AsSpan(FrameHeader.Bytes, frame.Length - FrameHeader.Bytes - 4), out _));
    }

    [Fact]
    public void A_block_head_whose_numbers_contradict_each_other_is_refused()
    {
        const int Chunk = Limits.ChecksumChunkBytes;
        Assert.True(IsRead(new BlockHead { BlockBytes = 100, Entries = new byte[4] }, 100));
        Assert.True(IsRead(new BlockHead { BlockBytes = 3 * Chunk, PayloadOffset = Chunk, FirstEntry = 1, Entries = new byte[4] }, Chunk));
        Assert.True(IsRead(new BlockHead { BlockBytes = (3 * Chunk) - 5, PayloadOffset = 2 * Chunk, FirstEntry = 2, Entries = new byte[4] }, Chunk - 5));

        Assert.False(IsRead(new BlockHead { BlockBytes = 100, Entries = new byte[4] }, 101));
        Assert.False(IsRead(new BlockHead { BlockBytes = 100, Entries = new byte[8] }, 100));
        Assert.False(IsRead(new BlockHead { BlockBytes = 100, Entries = [] }, 100));
        Assert.False(IsRead(new BlockHead { BlockBytes = 100, Entries = new byte[4] }, 50));
        Assert.False(IsRead(new BlockHead { BlockBytes = 3 * Chunk, PayloadOffset = 1, Entries = new byte[4] }, Chunk));
        Assert.False(IsRead(new BlockHead { BlockBytes = 3 * Chunk, PayloadOffset = Chunk, FirstEntry = 2, Entries = new byte[4] }, Chunk));
        Assert.False(IsRead(new BlockHead { BlockBytes = 3 * Chunk, PayloadOffset = 3 * Chunk, FirstEntry = 3, Entries = new byte[4] }, Chunk));
        Assert.False(IsRead(new BlockHead { BlockBytes = uint.MaxValue, PayloadOffset = uint.MaxValue - 100 }, 100));
        Assert.False(IsRead(new BlockHead { BlockBytes = (uint)Limits.MaxBlockBytes + 1 }, 0));
    }

    [Fact]
    public void A_refusal_is_cut_to_what_a_head_may_hold_between_two_characters()
    {
        var writer = new FrameWriter();
        writer.Begin(Verb.Get, 1, FrameFlags.Response);
        var before = writer.PendingBytes;
        writer.WriteText(new string('ü', 10_000));
        var text = System.Text.Encoding.UTF8.GetString(writer.Pending[before..]);
        Assert.Equal(new string('ü', NativeLimits.MaxTextBytes / 2), text);
    }

    private static bool IsRead(BlockHead head, long payloadBytes)
    {
        var writer = new FrameWriter();
        writer.Begin(Verb.Get, 1, FrameFlags.Response);
        var before = writer.PendingBytes;
        head.Write(writer);
        return BlockHead.TryRead(writer.Pending[before..], payloadBytes, out _);
    }

    private static byte[] HeadOf(string name)
    {
        var receiver = new FrameReceiver();
        receiver.Next(new MemoryChannel(Frames.All[name]), out _);
        return receiver.Head.ToArray();
    }
}
