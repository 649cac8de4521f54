using System.Text;
using KvMesh.Protocol.Keys;

namespace KvMesh.Protocol.Tests.Resp;

public sealed class LmcacheKeyTests
{
    private const string Sha = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    [Theory]
    [InlineData("meta-llama/Llama-3-8B@1@0@deadbeef@bfloat16", "meta-llama/Llama-3-8B", "deadbeef")]
    [InlineData("m@8@3@-1f2e3d@half", "m", "-1f2e3d")]
    [InlineData("m@8@3@" + Sha + "@fp8_e4m3fn", "m", Sha)]
    [InlineData("m@8@3@abc@bfloat16@31", "m", "abc")]
    [InlineData("m@8@3@abc@bfloat16@user%alice@team%x", "m", "abc")]
    [InlineData("m@8@3@abc@bfloat16@31@user%alice", "m", "abc")]
    [InlineData("vllm@m@1@0@" + Sha, "m", Sha)]
    [InlineData("vllm@m@1@0@-77@user%bob", "m", "-77")]
    [InlineData("m@01000100@0@" + Sha, "m", Sha)]
    [InlineData("m@08030803@1f@" + Sha + "@salty", "m", Sha)]
    [InlineData("m@08030803@" + Sha, "m", Sha)]
    [InlineData("m@08030803@" + Sha + "@salt", "m", Sha)]
    [InlineData("prefix@m@08030803@0@" + Sha, "m", Sha)]
    public void Reads_keys_of_every_generation(string key, string model, string hash)
    {
        var bytes = Encoding.UTF8.GetBytes(key);

        Assert.True(LmcacheKey.TryParse(bytes, out var parsed));
        Assert.Equal(model, Encoding.UTF8.GetString(bytes.AsSpan()[parsed.Model]));
        Assert.Equal(hash, Encoding.UTF8.GetString(bytes.AsSpan()[parsed.Hash]));
        Assert.Equal(LmcacheHalf.Whole, parsed.Half);
        Assert.Equal(bytes.Length, parsed.BaseBytes);
    }

    [Theory]
    [InlineData("kv_bytes", LmcacheHalf.Bytes)]
    [InlineData("metadata", LmcacheHalf.Metadata)]
    public void Reads_the_halves_of_a_pair(string suffix, LmcacheHalf half)
    {
        const string Base = "m@1@0@deadbeef@bfloat16";

        Assert.True(LmcacheKey.TryParse(Encoding.UTF8.GetBytes(Base + suffix), out var parsed));
        Assert.Equal(half, parsed.Half);
        Assert.Equal(Base.Length, parsed.BaseBytes);
    }

    [Theory]
    [InlineData("")]
    [InlineData("key:000000000001")]
    [InlineData("user@example.com")]
    [InlineData("@1@0@deadbeef@bfloat16")]
    [InlineData("m@1@0@deadbeef")]
    [InlineData("m@1@0@DEADBEEF@bfloat16")]
    [InlineData("m@1@0@deadbeef@float128")]
    [InlineData("m@x@0@deadbeef@bfloat16")]
    [InlineData("m@1@0@deadbeef@bfloat16@notatag")]
    [InlineData("m@0100010@0@" + Sha)]
    [InlineData("m@01000100@0@abcdef")]
    [InlineData("m@01000100@0@" + Sha + "@salt@more")]
    [InlineData("a@b@c@d@e@f@g@h@i@j@k@l@m@n@o@p@q@r@s")]
    [InlineData("metadata")]
    [InlineData("kv_bytes")]
    public void Leaves_other_keys_alone(string key) => Assert.False(LmcacheKey.TryParse(Encoding.UTF8.GetBytes(key), out _));

    [Fact]
    public void Survives_any_bytes()
    {
        var random = new Random(1);
        var seed = "m@8@3@abc@bfloat16@31@user%alice"u8.ToArray();
        for (var round = 0; round < 20_000; round++)
        {
            var key = seed.AsSpan(0, random.Next(seed.Length + 1)).ToArray();
            for (var change = random.Next(4); change > 0 && key.Length > 0; change--)
            {
                key[random.Next(key.Length)] = "@%-0af\0\xff"u8[random.Next(8)];
            }

            if (LmcacheKey.TryParse(key, out var parsed))
            {
                Assert.InRange(parsed.BaseBytes, 1, key.Length);
                Assert.False(key.AsSpan()[parsed.Hash].IsEmpty);
            }
        }
    }
}
