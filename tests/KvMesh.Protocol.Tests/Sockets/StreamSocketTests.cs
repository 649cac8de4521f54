using System.Net;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Protocol.Tests.Sockets;

public sealed class StreamSocketTests
{
    private const int LargeBytes = 16 * 1024 * 1024;

    public static TheoryData<bool> Kinds => new(false, true);

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Sends_three_parts_in_order_through_partial_writes(bool isUnix)
    {
        // Small kernel buffers force many partial sends that end inside every part.
        using var pair = new SocketPair(isUnix, new StreamSocketOptions { SendBufferBytes = 32 * 1024, ReceiveBufferBytes = 32 * 1024, StallLimit = Eventually.Patience });
        var expected = RandomBytes(LargeBytes, seed: 1);
        var sending = Eventually.Run(() => pair.Near.Send(expected.AsSpan(0, 13), expected.AsSpan(13, LargeBytes - 20_013), expected.AsSpan(LargeBytes - 20_000)));

        var received = new byte[LargeBytes];
        await Eventually.Run(() => ReceiveAll(pair.Far, received)).Within("16 MiB");
        await sending.Within("the end of the send");

        Assert.True(expected.AsSpan().SequenceEqual(received));
        Assert.Equal(LargeBytes, pair.Near.BytesSent);
        Assert.Equal(LargeBytes, pair.Far.BytesReceived);
    }

    [Fact]
    public void A_connection_can_be_made_without_waiting()
    {
        using var listener = StreamListener.Bind(new IPEndPoint(IPAddress.Loopback, 0), new StreamSocketOptions());
        using var near = StreamSocket.BeginConnect(listener.LocalEndPoint, new StreamSocketOptions());
        Assert.Equal(AcceptOutcome.Accepted, listener.Accept(new StreamSocketOptions(), out var far));
        Eventually.HoldsBlocking(near.TryFinishConnect, "the connection");
        Assert.False(near.IsConnecting);

        near.Send("ab"u8);
        var received = new byte[2];
        ReceiveAll(far!, received);
        Assert.Equal("ab"u8.ToArray(), received);
        far!.Dispose();
    }

    [Fact]
    public void A_connection_that_nobody_answers_is_given_up_in_time()
    {
        using var silent = new SilentPort();
        var late = Assert.Throws<ChannelException>(() => Connect(silent.Endpoint, TimeSpan.FromMilliseconds(100)));
        Assert.Contains("nobody answered in time", late.Message, StringComparison.Ordinal);

        using var closed = new ClosedPort();
        Assert.True(Assert.Throws<ChannelException>(() => Connect(closed.Endpoint, Eventually.Patience)).IsRefusal);
    }

    private static void Connect(IPEndPoint endpoint, TimeSpan limit)
    {
        using var socket = StreamSocket.BeginConnect(endpoint, new StreamSocketOptions { ConnectTimeout = limit });
        while (!socket.TryFinishConnect())
        {
            SocketPoll.Wait([socket], TimeSpan.FromMilliseconds(50));
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Passes_over_empty_parts(bool isUnix)
    {
        using var pair = new SocketPair(isUnix);
        pair.Near.Send([]);
        pair.Near.Send([], "ab"u8, []);
        pair.Near.Send("c"u8, [], "d"u8);

        var received = new byte[4];
        ReceiveAll(pair.Far, received);

        Assert.Equal("abcd"u8.ToArray(), received);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Is_idle_when_nothing_comes_within_the_window(bool isUnix)
    {
        using var pair = new SocketPair(isUnix, new StreamSocketOptions { IdleWindow = TimeSpan.FromMilliseconds(5) });
        var buffer = new byte[8];

        Assert.Equal(-1, pair.Far.ReceiveOrIdle(buffer));

        // On a busy machine the byte may need longer than one window.
        pair.Near.Send("x"u8);
        Eventually.HoldsBlocking(() => pair.Far.ReceiveOrIdle(buffer) == 1, "the byte");
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Receives_zero_when_the_peer_has_closed(bool isUnix)
    {
        using var pair = new SocketPair(isUnix);
        pair.Near.Dispose();

        Assert.Equal(0, pair.Far.ReceiveOrIdle(new byte[8]));
        Assert.Equal(0, pair.Far.Receive(new byte[8]));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_half_sent_command_stalls(bool isUnix)
    {
        using var pair = new SocketPair(isUnix, new StreamSocketOptions { StallLimit = TimeSpan.FromMilliseconds(60) });
        pair.Near.Send("half"u8);
        var failure = await Eventually.Run(() => Assert.Throws<ChannelException>(() => ReceiveAll(pair.Far, new byte[8]))).Within("the stall");

        Assert.Equal(ChannelFault.Stalled, failure.Fault);
        Assert.Contains("0.06 s", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_peer_that_takes_nothing_stalls_a_send(bool isUnix)
    {
        using var pair = new SocketPair(isUnix, new StreamSocketOptions { StallLimit = TimeSpan.FromMilliseconds(60) });
        var failure = await Eventually.Run(() => Assert.Throws<ChannelException>(() => pair.Near.Send(new byte[LargeBytes]))).Within("the stall");

        Assert.Equal(ChannelFault.Stalled, failure.Fault);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Sending_to_a_closed_peer_is_a_lost_channel(bool isUnix)
    {
        using var pair = new SocketPair(isUnix);
        pair.Far.Dispose();
        var failure = await Eventually.Run(() => Assert.Throws<ChannelException>(() => SendUntilItFails(pair.Near))).Within("the broken pipe");

        Assert.Equal(ChannelFault.Lost, failure.Fault);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Shutdown_wakes_a_thread_that_receives(bool isUnix)
    {
        using var pair = new SocketPair(isUnix);
        using var started = new ManualResetEventSlim();
        var receiving = Eventually.Run(() =>
        {
            started.Set();
            return pair.Far.Receive(new byte[8]);
        });
        Assert.True(started.Wait(Eventually.Patience), "the receiving thread runs");
        pair.Far.Shutdown();

        Assert.Equal(0, await receiving.Within("the end of Receive"));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Shutdown_wakes_a_thread_that_sends(bool isUnix)
    {
        using var pair = new SocketPair(isUnix);
        var sending = Eventually.Run(() => Assert.Throws<ChannelException>(() => pair.Near.Send(new byte[8 * LargeBytes])));
        await Eventually.Holds(() => pair.Far.ReceiveOrIdle(new byte[1]) == 1, "the first byte");
        pair.Near.Shutdown();

        Assert.Equal(ChannelFault.Lost, (await sending.Within("the end of Send")).Fault);
    }

    [Fact]
    public async Task Dispose_while_a_thread_receives_closes_after_it()
    {
        // Nobody can see from outside whether the thread is inside the call already, so that some rounds may come too early.
        await Eventually.Holds(HasReceivedAfterDisposeAsync, "a thread that received while its socket was disposed");
    }

    [Fact]
    public void Warm_transfers_allocate_nothing()
    {
        using var pair = new SocketPair(isUnix: true);
        var buffer = new byte[64];
        Exchange(pair, buffer, 100);

        Assert.Equal(0, Allocations.Of(() => Exchange(pair, buffer, 10_000)));
    }

    [Fact]
    public void Names_the_endpoint_that_nobody_answers()
    {
        using var closed = new ClosedPort();
        var endpoint = closed.Endpoint;

        var failure = Assert.Throws<ChannelException>(() => StreamSocket.Connect(endpoint, StreamSocketOptions.Default));

        Assert.True(failure.IsRefusal);
        Assert.Contains(endpoint.ToString()!, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Names_a_congestion_control_that_the_kernel_lacks()
    {
        using var listener = StreamListener.Bind(new IPEndPoint(IPAddress.Loopback, 0), StreamSocketOptions.Default);
        var failure = Assert.Throws<ChannelException>(() =>
            StreamSocket.Connect(listener.LocalEndPoint, new StreamSocketOptions { CongestionControl = "nonesuch" }));

        Assert.Contains("nonesuch", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Connects_by_host_name()
    {
        using var listener = StreamListener.Bind(new IPEndPoint(IPAddress.Loopback, 0), StreamSocketOptions.Default);
        var port = ((IPEndPoint)listener.LocalEndPoint).Port;
        using var socket = StreamSocket.Connect(StreamEndpoint.Parse($"localhost:{port}"), new StreamSocketOptions { CongestionControl = "reno" });

        Assert.Equal("127.0.0.1", socket.RemoteAddress);
        Assert.False(socket.IsUnix);
    }

    [Fact]
    public void Knows_the_process_at_the_other_end_of_a_unix_socket()
    {
        using var pair = new SocketPair(isUnix: true);
        var credentials = pair.Far.ReadPeerCredentials();

        Assert.Equal(Environment.ProcessId, credentials.ProcessId);
        Assert.True(credentials.IsSameUser);
        Assert.Equal("unix", pair.Far.RemoteAddress);
    }

    /// <summary>False when the socket was disposed before the thread had begun to receive: then it is closed, and both sides are told.</summary>
    private static async Task<bool> HasReceivedAfterDisposeAsync()
    {
        using var pair = new SocketPair(isUnix: true);
        using var started = new ManualResetEventSlim();
        var receiving = Eventually.Run(() =>
        {
            started.Set();
            return pair.Far.Receive(new byte[1]);
        });
        Assert.True(started.Wait(Eventually.Patience), "the receiving thread runs");
        SpinWait.SpinUntil(() => false, 20);
        pair.Far.Dispose();
        try
        {
            pair.Near.Send("x"u8);
            Assert.Equal(1, await receiving.Within("the byte"));
        }
        catch (Exception failure) when (failure is ChannelException or ObjectDisposedException)
        {
            return false;
        }

        Assert.Throws<ObjectDisposedException>(() => pair.Far.Receive(new byte[1]));
        return true;
    }

    private static void Exchange(SocketPair pair, byte[] buffer, int rounds)
    {
        for (var round = 0; round < rounds; round++)
        {
            pair.Near.Send(buffer.AsSpan(0, 8), buffer.AsSpan(8, 8), buffer.AsSpan(16, 48));
            if (pair.Far.Receive(buffer) != buffer.Length)
            {
                throw new InvalidOperationException("64 bytes on a Unix socket arrive together");
            }
        }
    }

    private static void SendUntilItFails(StreamSocket socket)
    {
        while (true)
        {
            socket.Send(new byte[LargeBytes]);
        }
    }

    private static void ReceiveAll(StreamSocket socket, Span<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            var received = socket.Receive(buffer);
            Assert.NotEqual(0, received);
            buffer = buffer[received..];
        }
    }

    private static byte[] RandomBytes(int count, int seed)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
