using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Tests.Native;

namespace KvMesh.Protocol.Tests.Keys;

public sealed class ChainHashTests
{
    [Fact]
    public void Hashes_a_chain_as_it_always_did()
    {
        var expected = GoldenVectors.Read("chain-hash");
        var previous = ChainHash.Root.ToArray();
        var hashes = new List<byte>();
        for (uint block = 0; block < 3; block++)
        {
            var tokens = Enumerable.Range(1, 16).Select(token => (uint)token + (block * 16)).ToArray();
            var next = new byte[32];
            ChainHash.Next(previous, tokens, block == 2 ? "lora:a"u8 : default, next);
            hashes.AddRange(next);
            previous = next;
        }

        Assert.True(expected.AsSpan().SequenceEqual(hashes.ToArray()), Convert.ToHexStringLower([.. hashes]));
    }

    [Fact]
    public void Every_part_changes_the_hash()
    {
        var seen = new HashSet<string>
        {
            Hash(ChainHash.Root, [1, 2], []),
            Hash(ChainHash.Root, [1, 3], []),
            Hash(ChainHash.Root, [1, 2, 3], []),
            Hash(ChainHash.Root, [1], [2, 0, 0, 0]),
            Hash(ChainHash.Root, [1, 2], [0]),
            Hash(new byte[32].Select((_, index) => (byte)index).ToArray(), [1, 2], []),
        };
        Assert.Equal(6, seen.Count);
    }

    [Fact]
    public void Refuses_a_previous_hash_of_another_length() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => ChainHash.Next(new byte[31], [1], [], new byte[32]));

    private static string Hash(ReadOnlySpan<byte> previous, ReadOnlySpan<uint> tokens, ReadOnlySpan<byte> extra)
    {
        var hash = new byte[32];
        ChainHash.Next(previous, tokens, extra, hash);
        return Convert.ToHexString(hash);
    }
}
