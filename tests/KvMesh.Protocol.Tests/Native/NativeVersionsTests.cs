using KvMesh.Protocol.Native;

namespace KvMesh.Protocol.Tests.Native;

/// <summary>In which version two programs talk.</summary>
public sealed class NativeVersionsTests
{
    [Theory]
    [InlineData("1", 1, 1, 1)]
    [InlineData("1-2", 1, 1, 1)]
    [InlineData("1-2", 1, 2, 2)]
    [InlineData("1-2", 2, 3, 2)]
    [InlineData("2-3", 1, 300, 3)]
    [InlineData("2-3", 0, 1, null)]
    [InlineData("1", 2, 3, null)]
    [InlineData("1", 2, 1, null)]
    public void Two_talk_in_the_highest_version_of_both(string own, int lowest, int highest, int? agreed)
    {
        Assert.True(NativeVersions.TryParse(own, out var versions));
        Assert.Equal(own, versions.ToString());
        Assert.Equal(agreed, versions.AgreeOn(lowest, highest));
    }

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("2-1")]
    [InlineData("1-2-3")]
    [InlineData("1-")]
    [InlineData("256")]
    [InlineData("+1")]
    public void What_is_no_range_is_not_read(string text) => Assert.False(NativeVersions.TryParse(text, out _));

    [Fact]
    public void A_frame_carries_its_version()
    {
        var bytes = new byte[FrameHeader.Bytes];
        var header = new FrameHeader { Version = 2, Verb = Verb.Ping, RequestId = 7 };
        header.Write(bytes);

        Assert.Equal(FrameFault.UnsupportedVersion, FrameHeader.TryRead(bytes, out _));
        Assert.Equal(FrameFault.None, FrameHeader.TryRead(bytes, new NativeVersions(1, 2), out var read));
        Assert.Equal(header, read);
    }
}
