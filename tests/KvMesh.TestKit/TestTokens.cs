using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace KvMesh.TestKit;

/// <summary>One line of a token file, with the token in clear.</summary>
public sealed record TestToken(string Tenant, string Token, params string[] Rights)
{
    /// <summary>What its operator calls it.</summary>
    public string Note { get; init; } = "";
}

/// <summary>Writes token files as an operator would.</summary>
public static class TestTokens
{
    /// <summary>Writes a file that only its owner reads, and returns its path.</summary>
    public static string Write(string path, IEnumerable<TestToken> tokens)
    {
        var entries = tokens.Select(token => new
        {
            tenant = token.Tenant,
            sha256 = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token.Token))),
            rights = token.Rights,
            note = token.Note,
        });
        File.WriteAllText(path, JsonSerializer.Serialize(new { tokens = entries }));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }
}
