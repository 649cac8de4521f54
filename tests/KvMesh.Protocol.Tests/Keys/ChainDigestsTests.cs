using System.Text;
using KvMesh.Protocol.Keys;

namespace KvMesh.Protocol.Tests.Keys;

public sealed class ChainDigestsTests
{
    private static readonly DigestSecret Secret = new(0x0706050403020100, 0x0f0e0d0c0b0a0908);

    [Fact]
    public void Equal_the_digest_of_each_key_whatever_the_length_of_the_scope_and_the_count()
    {
        var random = new Random(7);
        for (var scopeBytes = 40; scopeBytes < 60; scopeBytes++)
        {
            var scope = new byte[scopeBytes];
            random.NextBytes(scope);
            foreach (var count in new[] { 0, 1, 3, 4, 7, 8, 9, 16, 23, 100 })
            {
                var hashes = new byte[count * Limits.ChainHashBytes];
                random.NextBytes(hashes);
                var digests = new KeyDigest[count];
                ChainDigests.Compute(Secret, 77, scope, hashes, digests);
                for (var index = 0; index < count; index++)
                {
                    byte[] key = [.. scope, .. hashes.AsSpan(index * Limits.ChainHashBytes, Limits.ChainHashBytes)];
                    Assert.Equal(KeyDigest.Compute(Secret, 77, key), digests[index]);
                }
            }
        }
    }

    [Fact]
    public void The_longest_scope_fits()
    {
        var scope = new BlockScope(new string('m', 255), new string('r', 255), new byte[32], 1);
        var hashes = Encoding.ASCII.GetBytes(new string('h', 8 * Limits.ChainHashBytes));
        var digests = new KeyDigest[8];
        ChainDigests.Compute(Secret, 1, scope.Bytes.Span, hashes, digests);
        Assert.All(digests, digest => Assert.Equal(KeyDigest.Compute(Secret, 1, scope.KeyOf(hashes.AsSpan(0, 32))), digest));
    }
}
