using System.Text;
using KvMesh.Gateway.Http;

namespace KvMesh.Gateway.Tests.Http;

public sealed class RequestFieldsTests
{
    [Theory]
    [InlineData("AAEC", null, "000102")]
    [InlineData("-_8", null, "FBFF")]
    [InlineData(null, "héllo", "68C3A96C6C6F")]
    public void Keys_come_as_base64url_or_as_text(string? key, string? text, string expected)
    {
        Assert.True(RequestFields.TryKey(key, text, out var bytes, out _));
        Assert.Equal(expected, Convert.ToHexString(bytes));
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("", null)]
    [InlineData("a+b/", null)]
    [InlineData("AAEC", "text")]
    public void Other_keys_are_refused(string? key, string? text)
    {
        Assert.False(RequestFields.TryKey(key, text, out _, out var refusal));
        Assert.Equal("key", refusal.ProblemDetails.Extensions["field"]);
    }

    [Fact]
    public void A_key_of_1025_bytes_is_refused_with_its_limit()
    {
        Assert.True(RequestFields.TryKey(null, new string('k', 1024), out _, out _));
        Assert.False(RequestFields.TryKey(null, new string('k', 1025), out _, out var refusal));
        Assert.Contains("1025 bytes and the limit is 1024", refusal.ProblemDetails.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0")]
    [InlineData("601")]
    [InlineData("-1")]
    [InlineData("1e2")]
    [InlineData(" 5")]
    [InlineData("99999999999999999999")]
    public void Numbers_out_of_bounds_are_refused_with_their_limit(string text)
    {
        Assert.False(RequestFields.TryNumber("seconds", text, 1, 600, 600, out _, out var refusal));
        Assert.Contains($"seconds is {text}; it must be a whole number from 1 to 600", refusal.ProblemDetails.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Keys_are_shown_as_text_only_when_people_can_read_them()
    {
        Assert.Equal("model@1@0@ab", RequestFields.TextOf("model@1@0@ab"u8));
        Assert.Null(RequestFields.TextOf([0xff, 0xfe]));
        Assert.Null(RequestFields.TextOf(Encoding.UTF8.GetBytes("a\u0000b")));
    }
}
