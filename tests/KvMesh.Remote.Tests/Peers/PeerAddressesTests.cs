using System.Net;
using KvMesh.Protocol.Sockets;
using KvMesh.Remote.Peers;
using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Peers;

public sealed class PeerAddressesTests
{
    private static readonly IPEndPoint First = new(IPAddress.Parse("192.0.2.1"), 7);
    private static readonly IPEndPoint Second = new(IPAddress.Parse("192.0.2.2"), 7);

    [Fact]
    public void A_name_that_takes_long_is_waited_for_as_long_as_may_be_and_found_later()
    {
        var answer = new TaskCompletionSource<IPAddress[]>();
        var addresses = new PeerAddresses(new DnsEndPoint("far", 7), TimeProvider.System, _ => answer.Task);

        Assert.Throws<ChannelException>(() => addresses.Get(TimeSpan.FromMilliseconds(5)));
        answer.SetResult([First.Address, Second.Address]);

        Assert.Equal([First, Second], addresses.Get(Eventually.Patience));
    }

    [Fact]
    public void A_name_is_looked_up_again_while_what_is_known_is_used()
    {
        var clock = new SimulatedClock();
        var asked = 0;
        var second = new TaskCompletionSource<IPAddress[]>();
        var addresses = new PeerAddresses(
            new DnsEndPoint("far", 7), clock, _ => Interlocked.Increment(ref asked) == 1 ? Task.FromResult(new[] { First.Address }) : second.Task);
        Assert.Equal([First], addresses.Get(Eventually.Patience));
        Assert.Equal([First], addresses.Get(TimeSpan.Zero));
        Assert.Equal(1, asked);

        clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal([First], addresses.Get(Eventually.Patience));
        second.SetResult([Second.Address]);
        Eventually.HoldsBlocking(() => addresses.Get(TimeSpan.Zero)[0].Equals(Second), "the new address");
    }

    [Fact]
    public void A_name_without_an_address_is_a_failure_and_asked_for_again()
    {
        var asked = 0;
        var addresses = new PeerAddresses(
            new DnsEndPoint("far", 7), TimeProvider.System,
            _ => Interlocked.Increment(ref asked) == 1 ? Task.FromException<IPAddress[]>(new System.Net.Sockets.SocketException(11001)) : Task.FromResult(new[] { First.Address }));

        Assert.Throws<ChannelException>(() => addresses.Get(Eventually.Patience));
        Assert.Equal([First], addresses.Get(Eventually.Patience));
    }
}
