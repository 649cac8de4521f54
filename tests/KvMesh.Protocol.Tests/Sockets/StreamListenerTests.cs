using System.Net;
using System.Runtime.Versioning;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Protocol.Tests.Sockets;

[SupportedOSPlatform("linux")]
public sealed class StreamListenerTests : IDisposable
{
    private static readonly StreamSocketOptions Options = StreamSocketOptions.Default;
    private readonly string _folder = Directory.CreateTempSubdirectory("kvmesh-listener-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Names_address_and_port_when_the_port_is_in_use()
    {
        using var first = StreamListener.Bind(new IPEndPoint(IPAddress.Loopback, 0), Options);
        var failure = Assert.Throws<AddressInUseException>(() => StreamListener.Bind(first.LocalEndPoint, Options));

        Assert.Contains(first.LocalEndPoint.ToString()!, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Says_that_an_address_is_not_of_this_machine()
    {
        var failure = Assert.Throws<IOException>(() => StreamListener.Bind(new IPEndPoint(IPAddress.Parse("192.0.2.1"), 0), Options));
        Assert.Contains("no such address", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Accepts_on_the_sixth_version_too()
    {
        using var listener = StreamListener.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0), Options);
        using var near = StreamSocket.Connect(listener.LocalEndPoint, Options);
        Assert.Equal(AcceptOutcome.Accepted, listener.Accept(Options, out var far));
        using (far)
        {
            Assert.Equal("::1", far!.RemoteAddress);
        }
    }

    [Fact]
    public void A_unix_socket_is_for_its_owner_only_and_leaves_no_file()
    {
        var path = Path.Combine(_folder, "own.sock");
        using (StreamListener.Bind(StreamEndpoint.Unix(path), Options))
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        }

        Assert.False(File.Exists(path));
    }

    [Fact]
    public void A_stale_unix_path_is_replaced_and_a_living_one_is_not()
    {
        var path = Path.Combine(_folder, "stale.sock");
        var dead = StreamListener.Bind(StreamEndpoint.Unix(path), Options);
        dead.KeepPath();
        dead.Dispose();
        Assert.True(File.Exists(path));

        using var living = StreamListener.Bind(StreamEndpoint.Unix(path), Options);
        var failure = Assert.Throws<AddressInUseException>(() => StreamListener.Bind(StreamEndpoint.Unix(path), Options));
        Assert.Contains(path, failure.Message, StringComparison.Ordinal);
        Assert.True(File.Exists(path));
    }

    [Fact]
    public void A_file_that_is_no_socket_is_never_replaced()
    {
        var path = Path.Combine(_folder, "notes.txt");
        File.WriteAllText(path, "mine");

        Assert.Throws<AddressInUseException>(() => StreamListener.Bind(StreamEndpoint.Unix(path), Options));
        Assert.Equal("mine", File.ReadAllText(path));
    }

    [Fact]
    public async Task Interrupt_ends_an_accept()
    {
        using var listener = StreamListener.Bind(new IPEndPoint(IPAddress.Loopback, 0), Options);
        var accepting = Eventually.Run(() => listener.Accept(Options, out _));
        listener.Interrupt();

        Assert.Equal(AcceptOutcome.Interrupted, await accepting.Within("the end of Accept"));
    }

    [Fact]
    public void A_listener_that_was_passed_on_goes_on_accepting_after_the_first_owner_left()
    {
        using var pair = new SocketPair(isUnix: true);
        var path = Path.Combine(_folder, "passed.sock");
        var old = StreamListener.Bind(StreamEndpoint.Unix(path), Options);
        pair.Near.SendWithDescriptors("x"u8, [old.Descriptor]);
        Span<int> descriptors = stackalloc int[1];
        _ = pair.Far.ReceiveWithDescriptors(new byte[1], descriptors, out _);
        old.KeepPath();
        old.Dispose();

        using var listener = StreamListener.FromDescriptor(descriptors[0]);
        using var near = StreamSocket.Connect(StreamEndpoint.Unix(path), Options);
        Assert.Equal(AcceptOutcome.Accepted, listener.Accept(Options, out var far));
        far!.Dispose();
        listener.Dispose();
        Assert.False(File.Exists(path));
    }
}
