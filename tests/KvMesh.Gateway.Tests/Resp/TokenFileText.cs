using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>Writes token files as an operator would.</summary>
internal static class TokenFileText
{
    public static void Write(string path, IEnumerable<(string Tenant, string Token, string Rights)> tokens)
    {
        var entries = tokens.Select(token => new
        {
            tenant = token.Tenant,
            sha256 = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token.Token))),
            rights = token.Rights.Split(','),
        });
        File.WriteAllText(path, JsonSerializer.Serialize(new { tokens = entries }));
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }
    }
}
