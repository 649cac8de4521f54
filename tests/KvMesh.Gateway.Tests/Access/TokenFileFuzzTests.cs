using System.Text;
using KvMesh.Gateway.Access;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Access;

/// <summary>A token file is written by hand: whatever is in it, it is read, or refused with a reason that holds none of its hashes.</summary>
public sealed class TokenFileFuzzTests
{
    private static readonly string Hash = Convert.ToHexStringLower([.. Enumerable.Range(1, 32).Select(value => (byte)value)]);

    private static readonly string File =
        $$"""{ "tokens": [ { "tenant": "red", "sha256": "{{Hash}}", "rights": ["read", "write"], "note": "ci" }, { "tenant": "blue", "sha256": "{{new string('b', 64)}}", "rights": ["admin"] } ] }""";

    private static readonly string[] Words =
        ["\"tenant\"", "\"sha256\"", "\"rights\"", "\"tokens\"", "[", "]", "{", "}", "null", "1e999", "-1", "\"\"", ",", ":", "\"\\ud800\"", "// x\n", "\"peer\""];

    [Fact]
    public void Damaged_files_are_read_or_refused_with_a_reason()
    {
        Assert.Equal(2, TokenFile.Parse(Encoding.UTF8.GetBytes(File), "tokens.json").Count);
        Fuzz.Run(5_000, random =>
        {
            try
            {
                var entries = TokenFile.Parse(Damage(random), "tokens.json");
                Assert.InRange(entries.Count, 1, TokenFile.MaxTokens);
                Assert.All(entries, entry => Assert.True(entry.Tenant.Length > 0 && entry.Hash.Length == 32 && entry.Rights != AccessRights.None, "an entry is not whole"));
            }
            catch (TokenFileException refusal)
            {
                Assert.StartsWith("tokens.json", refusal.Message, StringComparison.Ordinal);
                Assert.False(refusal.Message.Contains(Hash, StringComparison.Ordinal), refusal.Message);
            }
        });
    }

    private static byte[] Damage(Random random)
    {
        if (random.Next(2) == 0)
        {
            return Fuzz.Damage(random, Encoding.UTF8.GetBytes(File));
        }

        var text = new StringBuilder(File);
        for (var changes = random.Next(1, 4); changes > 0; changes--)
        {
            var at = random.Next(text.Length);
            text.Remove(at, Math.Min(text.Length - at, random.Next(20)));
            text.Insert(at, Words[random.Next(Words.Length)]);
        }

        return Encoding.UTF8.GetBytes(text.ToString());
    }
}
