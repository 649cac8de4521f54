using System.Security.Cryptography;
using System.Text;
using KvMesh.Gateway.Access;

namespace KvMesh.Gateway.Tests.Access;

public sealed class TokenFileTests
{
    private static readonly string Hash = Convert.ToHexStringLower(SHA256.HashData("secret"u8));

    [Fact]
    public void Reads_tenant_hash_and_rights_and_leaves_notes_alone()
    {
        var entries = Parse($$"""
            // Comments and trailing commas are for people.
            { "tokens": [ { "tenant": "acme", "sha256": "{{Hash}}", "rights": ["read", "admin"], "note": "CI" }, ] }
            """);

        var entry = Assert.Single(entries);
        Assert.Equal("acme", entry.Tenant);
        Assert.Equal(AccessRights.Read | AccessRights.Admin, entry.Rights);
    }

    [Fact]
    public void Names_every_fault_at_once()
    {
        var exception = Assert.Throws<TokenFileException>(() => Parse($$"""
            { "tokens": [
                { "tenant": "", "sha256": "{{Hash}}", "rights": ["read"] },
                { "tenant": "acme", "sha256": "abc", "rights": ["read"] },
                { "tenant": "acme", "sha256": "{{Hash}}", "rights": ["rule"] },
                { "tenant": "acme", "rights": ["read"], "colour": "red" },
                7 ], "version": 1 }
            """));

        foreach (var part in new[]
        {
            "version is unknown", "tokens[0].tenant is \"\"", "1 to 64 bytes", "tokens[1].sha256 has 3 characters", "64 hex digits",
            "tokens[2].rights has \"rule\"", "tokens[3].sha256 is missing", "tokens[3].colour is unknown", "tokens[4] is not an object",
        })
        {
            Assert.Contains(part, exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Never_shows_what_stands_in_place_of_a_hash()
    {
        var exception = Assert.Throws<TokenFileException>(() => Parse(
            """{ "tokens": [ { "tenant": "a", "sha256": "my-clear-text-token", "rights": ["read"] } ] }"""));

        Assert.DoesNotContain("my-clear-text-token", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Refuses_one_token_for_two_entries()
    {
        var exception = Assert.Throws<TokenFileException>(() => Parse($$"""
            { "tokens": [ { "tenant": "a", "sha256": "{{Hash}}", "rights": ["read"] }, { "tenant": "b", "sha256": "{{Hash}}", "rights": ["read"] } ] }
            """));

        Assert.Contains("tokens[1].sha256 is the same as tokens[0].sha256", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "is not JSON")]
    [InlineData("[]", "array \"tokens\"")]
    [InlineData("{ \"tokens\": [] }", "0 entries")]
    [InlineData("{ \"tokens\": [ {", "is not JSON")]
    public void Refuses_what_is_no_token_file(string content, string reason)
    {
        var exception = Assert.Throws<TokenFileException>(() => Parse(content));

        Assert.Contains(reason, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Says_which_file_is_missing()
    {
        var exception = Assert.Throws<TokenFileException>(() => TokenFile.Read("/nowhere/tokens.json"));

        Assert.Contains("/nowhere/tokens.json", exception.Message, StringComparison.Ordinal);
    }

    private static IReadOnlyList<TokenEntry> Parse(string content) => TokenFile.Parse(Encoding.UTF8.GetBytes(content), "tokens.json");
}
