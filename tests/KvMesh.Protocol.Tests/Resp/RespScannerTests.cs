using System.Text;
using KvMesh.Protocol.Resp;

namespace KvMesh.Protocol.Tests.Resp;

public sealed class RespScannerTests
{
    public static TheoryData<string, string[]> Requests => new()
    {
        { "*1\r\n$4\r\nPING\r\n", ["PING"] },
        { "*2\r\n$3\r\nGET\r\n$0\r\n\r\n", ["GET", ""] },
        { "*3\r\n$3\r\nSET\r\n$3\r\na\0b\r\n$4\r\n\r\n\r\n\r\n", ["SET", "a\0b", "\r\n\r\n"] },
        { "PING\r\n", ["PING"] },
        { "PING\n", ["PING"] },
        { "  SET  key\t'a b' \r\n", ["SET", "key", "a b"] },
        { "SET \"a\\x41\\n\\\"\" 'it\\'s' \"\"\r\n", ["SET", "aA\n\"", "it's", ""] },
        { "ECHO \"\\q\\xZZ\"\r\n", ["ECHO", "qxZZ"] },
    };

    [Theory]
    [MemberData(nameof(Requests))]
    public void Reads_a_request_split_at_every_byte(string wire, string[] arguments)
    {
        var bytes = Encoding.Latin1.GetBytes(wire);
        for (var split = 0; split < bytes.Length; split++)
        {
            var scanner = new RespScanner();
            Assert.Equal(ScanStatus.NeedMore, scanner.Scan(bytes.AsSpan(0, split)));
            AssertRequest(scanner, bytes, arguments);
        }
    }

    [Theory]
    [MemberData(nameof(Requests))]
    public void Reads_a_request_that_comes_byte_by_byte(string wire, string[] arguments)
    {
        var bytes = Encoding.Latin1.GetBytes(wire);
        var scanner = new RespScanner();
        for (var length = 0; length < bytes.Length; length++)
        {
            Assert.Equal(ScanStatus.NeedMore, scanner.Scan(bytes.AsSpan(0, length)));
        }

        AssertRequest(scanner, bytes, arguments);
    }

    [Fact]
    public void Leaves_what_follows_a_request_alone()
    {
        var bytes = "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n"u8.ToArray();
        var scanner = new RespScanner();

        Assert.Equal(ScanStatus.Request, scanner.Scan(bytes));
        Assert.Equal(14, scanner.Position);

        scanner.Reset();
        AssertRequest(scanner, bytes.AsSpan(14), ["QUIT"]);
    }

    [Theory]
    [InlineData("*0\r\n")]
    [InlineData("*-1\r\n")]
    [InlineData("*-9223372036854775808\r\n")]
    [InlineData("\r\n")]
    [InlineData("   \n")]
    public void Passes_over_a_request_without_arguments(string wire)
    {
        var scanner = new RespScanner();

        Assert.Equal(ScanStatus.Empty, scanner.Scan(Encoding.Latin1.GetBytes(wire)));
        Assert.Equal(wire.Length, scanner.Position);
    }

    [Theory]
    [InlineData("*x\r\n", "Protocol error: invalid multibulk length")]
    [InlineData("*01\r\n", "Protocol error: invalid multibulk length")]
    [InlineData("*+1\r\n", "Protocol error: invalid multibulk length")]
    [InlineData("*\r\n", "Protocol error: invalid multibulk length")]
    [InlineData("*1048577\r\n", "Protocol error: invalid multibulk length")]
    [InlineData("*99999999999999999999\r\n", "Protocol error: invalid multibulk length")]
    [InlineData("*1\rX", "Protocol error: invalid multibulk length")]
    [InlineData("*1\r\n*1\r\n", "Protocol error: expected '$', got '*'")]
    [InlineData("*1\r\n\r\n", "Protocol error: expected '$', got ' '")]
    [InlineData("*1\r\n$-1\r\n", "Protocol error: invalid bulk length")]
    [InlineData("*1\r\n$01\r\n", "Protocol error: invalid bulk length")]
    [InlineData("*1\r\n$1e3\r\n", "Protocol error: invalid bulk length")]
    [InlineData("*1\r\n$536870913\r\n", "Protocol error: invalid bulk length")]
    [InlineData("*1\r\n$99999999999999999999\r\n", "Protocol error: invalid bulk length")]
    [InlineData("*1\r\n$4\r\nPINGab", "Protocol error: bulk of 4 bytes does not end in CRLF")]
    [InlineData("\"abc\r\n", "Protocol error: unbalanced quotes in request")]
    [InlineData("\"a\"b\r\n", "Protocol error: unbalanced quotes in request")]
    [InlineData("'abc\r\n", "Protocol error: unbalanced quotes in request")]
    public void Refuses_a_malformed_request_with_its_reason(string wire, string error)
    {
        var bytes = Encoding.Latin1.GetBytes(wire);
        var scanner = new RespScanner();

        Assert.Equal(ScanStatus.Malformed, scanner.Scan(bytes));
        Assert.Equal(error, scanner.Error);
    }

    [Theory]
    [InlineData("", 'x', "Protocol error: too big inline request")]
    [InlineData("*", '1', "Protocol error: too big mbulk count string")]
    [InlineData("*1\r\n$", '1', "Protocol error: too big bulk count string")]
    public void Refuses_a_line_that_does_not_end(string head, char filler, string error)
    {
        var scanner = new RespScanner();

        Assert.Equal(ScanStatus.Malformed, scanner.Scan(Encoding.Latin1.GetBytes(head + new string(filler, RespLimits.MaxLineBytes + 2))));
        Assert.Equal(error, scanner.Error);
    }

    [Fact]
    public void Refuses_a_million_nested_arrays_at_the_second()
    {
        var scanner = new RespScanner();
        var wire = Encoding.Latin1.GetBytes(string.Concat(Enumerable.Repeat("*1\r\n", 1_000_000)));

        Assert.Equal(ScanStatus.Malformed, scanner.Scan(wire));
        Assert.Equal(4, scanner.Position);
    }

    [Theory]
    [InlineData("*11\r\n", "Protocol error: unauthenticated multibulk length")]
    [InlineData("*1\r\n$16385\r\n", "Protocol error: unauthenticated bulk length")]
    public void Allows_little_before_authentication(string wire, string error)
    {
        var scanner = new RespScanner { IsUnauthenticated = true };

        Assert.Equal(ScanStatus.Malformed, scanner.Scan(Encoding.Latin1.GetBytes(wire)));
        Assert.Equal(error, scanner.Error);
    }

    [Fact]
    public void Offers_a_large_bulk_and_goes_on_behind_it_when_it_was_passed()
    {
        var scanner = new RespScanner();
        var head = "*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n"u8.ToArray();

        Assert.Equal(ScanStatus.LargeBulk, scanner.Scan(head));
        Assert.Equal(100_000, scanner.BulkBytes);
        Assert.Equal(2, scanner.ArgumentCount);
        Assert.Equal(head.Length, scanner.Position);
        Assert.Equal("k", Encoding.Latin1.GetString(scanner.Request(head)[1]));

        scanner.PassBulk();
        byte[] rest = [.. head, .. "\r\n$2\r\nNX\r\n"u8];
        for (var length = head.Length; length < rest.Length; length++)
        {
            Assert.Equal(ScanStatus.NeedMore, scanner.Scan(rest.AsSpan(0, length)));
        }

        Assert.Equal(ScanStatus.Request, scanner.Scan(rest));
        var request = scanner.Request(rest);
        Assert.True(request.IsAbsent(2));
        Assert.Equal(100_000, request.LengthOf(2));
        Assert.True(request[2].IsEmpty);
        Assert.True(request.Is(3, "nx"u8));
    }

    [Fact]
    public void Buffers_a_large_bulk_when_told_to()
    {
        var scanner = new RespScanner();
        byte[] wire = [.. "*2\r\n$4\r\nECHO\r\n$20000\r\n"u8, .. new byte[20_000], .. "\r\n"u8];

        Assert.Equal(ScanStatus.LargeBulk, scanner.Scan(wire));
        scanner.BufferBulk();

        Assert.Equal(ScanStatus.Request, scanner.Scan(wire));
        Assert.Equal(20_000, scanner.Request(wire)[1].Length);
    }

    [Fact]
    public void Refuses_a_passed_bulk_without_its_line_end()
    {
        var scanner = new RespScanner();
        var head = "*2\r\n$4\r\nECHO\r\n$20000\r\n"u8.ToArray();
        Assert.Equal(ScanStatus.LargeBulk, scanner.Scan(head));
        scanner.PassBulk();

        Assert.Equal(ScanStatus.Malformed, scanner.Scan([.. head, .. "xy"u8]));
    }

    private static void AssertRequest(RespScanner scanner, ReadOnlySpan<byte> bytes, string[] arguments)
    {
        Assert.Equal(ScanStatus.Request, scanner.Scan(bytes));
        Assert.Equal(bytes.Length, scanner.Position);
        var request = scanner.Request(bytes);
        Assert.Equal(arguments.Length, request.Count);
        for (var index = 0; index < arguments.Length; index++)
        {
            Assert.Equal(arguments[index], Encoding.Latin1.GetString(request[index]));
        }
    }
}
