using KvMesh.Protocol.Keys;

namespace KvMesh.Protocol.Tests.Keys;

public sealed class KeyDigestTests
{
    private static readonly DigestSecret Secret = new(0x0706050403020100, 0x0f0e0d0c0b0a0908);

    [Fact]
    public void The_same_key_of_the_same_tenant_has_the_same_digest()
    {
        for (var bytes = 1; bytes < 40; bytes++)
        {
            var key = new byte[bytes];
            Assert.Equal(KeyDigest.Compute(Secret, 1, key), KeyDigest.Compute(Secret, 1, key));
        }
    }

    [Fact]
    public void Tenant_secret_length_and_every_byte_change_the_digest()
    {
        var key = new byte[100];
        var seen = new HashSet<KeyDigest> { KeyDigest.Compute(Secret, 1, key) };
        Assert.True(seen.Add(KeyDigest.Compute(Secret, 2, key)));
        Assert.True(seen.Add(KeyDigest.Compute(Secret with { Low = 1 }, 1, key)));
        Assert.True(seen.Add(KeyDigest.Compute(Secret with { High = 1 }, 1, key)));
        Assert.True(seen.Add(KeyDigest.Compute(Secret, 1, key.AsSpan(1))));
        for (var index = 0; index < key.Length; index++)
        {
            key[index] = 1;
            Assert.True(seen.Add(KeyDigest.Compute(Secret, 1, key)), $"byte {index}");
            key[index] = 0;
        }
    }
}
