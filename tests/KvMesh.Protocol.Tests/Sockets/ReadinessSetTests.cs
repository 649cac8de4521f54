using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Protocol.Tests.Sockets;

public sealed class ReadinessSetTests
{
    [Fact]
    public async Task Reports_a_readable_socket_once_until_it_is_armed_again()
    {
        using var pair = new SocketPair(isUnix: true);
        using var set = new ReadinessSet();
        set.Add(pair.Far, 7);
        pair.Near.Send("x"u8);

        Assert.Equal("7", await Wait(set));

        set.Wake();
        Assert.Empty(await Wait(set));

        set.Rearm(pair.Far, 8);
        Assert.Equal("8", await Wait(set));
    }

    [Fact]
    public async Task Reports_that_the_peer_has_closed()
    {
        using var pair = new SocketPair(isUnix: false);
        using var set = new ReadinessSet();
        set.Add(pair.Far, 1);
        pair.Near.Dispose();

        Assert.Equal("1", await Wait(set));
    }

    [Fact]
    public async Task A_removed_socket_is_silent()
    {
        using var pair = new SocketPair(isUnix: true);
        using var set = new ReadinessSet();
        set.Add(pair.Far, 1);
        set.Remove(pair.Far);
        pair.Near.Send("x"u8);
        set.Wake();

        Assert.Empty(await Wait(set));
    }

    private static Task<string> Wait(ReadinessSet set) => Eventually.Run(() =>
    {
        var tokens = new long[4];
        var count = set.Wait(tokens);
        return string.Join(' ', tokens.Take(count));
    }).Within("a report");
}
