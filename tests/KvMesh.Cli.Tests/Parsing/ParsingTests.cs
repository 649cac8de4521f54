using System.CommandLine;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;

namespace KvMesh.Cli.Tests.Parsing;

public sealed class ParsingTests
{
    [Theory]
    [InlineData("gpu-7", "http://gpu-7:8600/")]
    [InlineData("gpu-7:80", "http://gpu-7/")]
    [InlineData("[::1]", "http://[::1]:8600/")]
    [InlineData("127.0.0.1:9000", "http://127.0.0.1:9000/")]
    [InlineData("https://proxy/", "https://proxy/")]
    public void A_node_named_without_a_port_is_at_the_port_of_nodes(string text, string expected)
    {
        var option = CliOption.Node();

        Assert.Equal(expected, $"{new RootCommand { option }.Parse(["--node", text]).GetValue(option)}");
    }

    [Theory]
    [InlineData("65536", 65536)]
    [InlineData("64KiB", 65536)]
    [InlineData("64k", 65536)]
    [InlineData("64 KB", 65536)]
    [InlineData("1.5GiB", 1610612736)]
    [InlineData("2t", 2199023255552)]
    [InlineData("0", 0)]
    public void Sizes_are_read_with_units(string text, long bytes)
    {
        Assert.True(ByteSize.TryParse(text, out var parsed));
        Assert.Equal(bytes, parsed);
    }

    [Theory]
    [InlineData("")]
    [InlineData("KiB")]
    [InlineData("-1")]
    [InlineData("1.0001KiB")]
    [InlineData("ten")]
    [InlineData("99999999TiB")]
    [InlineData("1e3")]
    public void What_is_no_size_is_refused(string text) => Assert.False(ByteSize.TryParse(text, out _));

    [Theory]
    [InlineData("127.0.0.1:8601", "127.0.0.1", 8601)]
    [InlineData("[::1]:0", "::1", 0)]
    [InlineData("8602", null, 8602)]
    [InlineData(":8602", null, 8602)]
    [InlineData("localhost:1", "localhost", 1)]
    public void Listen_addresses_are_read(string text, string? host, int port)
    {
        Assert.True(ListenAddress.TryParse(text, out var address));
        Assert.Equal(new ListenAddress(host, port, IsOff: false), address);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("127.0.0.1:65536")]
    [InlineData("::1:8601")]
    [InlineData("host:-1")]
    [InlineData("host:")]
    [InlineData("")]
    public void What_is_no_address_is_refused(string text) => Assert.False(ListenAddress.TryParse(text, out _));

    [Fact]
    public void Off_closes_a_door()
    {
        Assert.True(ListenAddress.TryParse("off", out var address));
        Assert.True(address!.IsOff);
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(65536, "64 KiB")]
    [InlineData(1610612736, "1.5 GiB")]
    public void Bytes_are_written_in_powers_of_1024(long bytes, string text) => Assert.Equal(text, Formats.Bytes(bytes));

    [Fact]
    public void A_sparkline_shows_the_last_values_relative_to_the_largest() => Assert.Equal("▁▅█", Formats.Sparkline([9, 0, 1, 2], 3));
}
