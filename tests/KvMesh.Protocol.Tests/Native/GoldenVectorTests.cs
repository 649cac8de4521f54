using KvMesh.Protocol.Native;

namespace KvMesh.Protocol.Tests.Native;

/// <summary>The bytes of the protocol do not change by accident.</summary>
public sealed class GoldenVectorTests
{
    public static TheoryData<string> Names => [.. Frames.All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_frame_is_written_as_it_always_was(string name)
    {
        var golden = GoldenVectors.Read("native-" + name);
        Assert.True(golden.AsSpan().SequenceEqual(Frames.All[name]), $"{name} is now {Convert.ToHexStringLower(Frames.All[name])}");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_golden_frame_is_read(string name)
    {
        var channel = new MemoryChannel(GoldenVectors.Read("native-" + name));
        var receiver = new FrameReceiver();
        Assert.Equal(FrameArrival.Frame, receiver.Next(channel, out var header));
        receiver.Skip(channel, header.PayloadBytes);
        Assert.Equal(FrameArrival.Closed, receiver.Next(channel, out _));
    }

    [Fact]
    public void No_golden_frame_is_left_behind() => Assert.Equal(
        Frames.All.Keys.Select(name => "native-" + name).Order(),
        Directory.GetFiles(GoldenVectors.Folder, "native-*.hex").Select(Path.GetFileNameWithoutExtension).Order()!);
}
