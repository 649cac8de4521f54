using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Protocol.Tests.Native;

public sealed class SectionMessageTests
{
    [Fact]
    public void Says_what_was_written()
    {
        var writer = new FrameWriter();
        writer.Begin(Verb.SectionPublish, 1, FrameFlags.None);
        new SectionPublishRequest(7, 3, 0x01020304).WriteTo(writer);
        var head = writer.Pending[FrameHeader.Bytes..].ToArray();

        Assert.True(SectionPublishRequest.TryRead(head, out var request));
        Assert.Equal(new SectionPublishRequest(7, 3, 0x01020304), request);
        Assert.False(SectionPublishRequest.TryRead(head.AsSpan(1), out _));
        Assert.False(SectionPublishRequest.TryRead([.. head, 0], out _));
    }

    [Theory]
    [InlineData(10u, 0u, 3u, 4u, 10, true)]
    [InlineData(10u, 2u, 1u, 4u, 2, true)]
    [InlineData(10u, 3u, 0u, 4u, 0, true)]
    [InlineData(10u, 2u, 2u, 4u, 2, false)]
    [InlineData(10u, 0u, 3u, 4u, 12, false)]
    [InlineData(10u, 0u, 3u, 0u, 10, false)]
    [InlineData(10u, 0u, 1u, 11u, 10, false)]
    [InlineData(0u, 0u, 0u, 4u, 0, false)]
    [InlineData(uint.MaxValue, 0u, 1u, uint.MaxValue, 1, false)]
    [InlineData(10u, uint.MaxValue, 1u, 4u, 4, false)]
    [InlineData(4097u, 0u, 1u, 1u, 1, false)]
    public void Numbers_of_an_answer_must_agree(uint blockBytes, uint first, uint count, uint sectionBytes, long payloadBytes, bool agrees)
    {
        var writer = new FrameWriter();
        writer.Begin(Verb.SectionFollow, 1, FrameFlags.Response);
        new SectionFollowResponse { BlockBytes = blockBytes, First = first, Count = count }.WriteStart(writer);
        writer.WriteBytes(new byte[count * sizeof(uint)]);

        Assert.Equal(agrees, SectionFollowResponse.TryRead(writer.Pending[FrameHeader.Bytes..], sectionBytes, payloadBytes, out _));
    }

    [Theory]
    [InlineData(4096, 1, true)]
    [InlineData(4097, 1, false)]
    [InlineData(1, 1, true)]
    [InlineData(0, 1, false)]
    [InlineData(10, 0, false)]
    [InlineData(10, -1, false)]
    [InlineData(10, 11, false)]
    [InlineData(Limits.MaxBlockBytes, Limits.MaxBlockBytes, true)]
    [InlineData(Limits.MaxBlockBytes + 1L, Limits.MaxBlockBytes, false)]
    public void Sections_have_bounds(long blockBytes, long sectionBytes, bool isValid) => Assert.Equal(isValid, ProgressiveLimits.IsValid(blockBytes, sectionBytes));
}
