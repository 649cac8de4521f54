using System.Net;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Protocol.Tests.Sockets;

public sealed class StreamEndpointTests
{
    [Theory]
    [InlineData("127.0.0.1:8601", "127.0.0.1:8601")]
    [InlineData("[::1]:8601", "[::1]:8601")]
    [InlineData("node-1.example:0", "node-1.example:0")]
    [InlineData("unix:/run/kvmesh.sock", "unix:/run/kvmesh.sock")]
    [InlineData("/run/kvmesh.sock", "unix:/run/kvmesh.sock")]
    public void Reads_what_it_writes(string text, string canonical)
    {
        Assert.Equal(canonical, StreamEndpoint.Describe(StreamEndpoint.Parse(text)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("host")]
    [InlineData(":80")]
    [InlineData("host:")]
    [InlineData("host:-1")]
    [InlineData("host:65536")]
    public void Refuses_what_names_no_endpoint(string text)
    {
        Assert.Contains($"'{text}'", Assert.Throws<FormatException>(() => StreamEndpoint.Parse(text)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Refuses_a_path_that_does_not_fit_into_a_socket_address()
    {
        Assert.Contains("108 bytes; 1 to 107", Assert.Throws<FormatException>(() => StreamEndpoint.Parse("/" + new string('a', 107))).Message, StringComparison.Ordinal);
        Assert.IsNotType<IPEndPoint>(StreamEndpoint.Parse("/" + new string('a', 106)));
    }
}
