using System.Buffers.Binary;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;

namespace KvMesh.LoadTest.Faults;

/// <summary>
/// Which blocks are asked for: chains of a few blocks, some of them often, and now and then one that nobody has asked for before, so that
/// caches are never at rest. Blocks of the native protocol and keys of the Redis protocol are numbered apart.
/// </summary>
internal sealed class ChainRequests(int seed)
{
    public const int ChainBlocks = 6;
    public const int RespKeys = 96;

    private const int Chains = 56;
    private const double FreshShare = 0.03;
    private const long FirstFreshChain = 1_000;
    private const long FirstRespKey = 1L << 40;

    private static long _freshChains;

    private readonly Random _random = new(seed);

    public static BlockScope Scope { get; } = new("fault-workload", "r1", new byte[Limits.ChainHashBytes], 0);

    public static byte[] HashOf(long block)
    {
        var hash = new byte[Limits.ChainHashBytes];
        BinaryPrimitives.WriteInt64LittleEndian(hash, block);
        hash[^1] = 0xFA;
        return hash;
    }

    /// <summary>A key as LMCache writes it, which names content.</summary>
    public static string RespKeyOf(long block) => $"model@01000100@0@{block:x64}";

    /// <summary>The first block of the next chain; its others follow in number.</summary>
    public long NextChain()
    {
        var chain = _random.NextDouble() < FreshShare
            ? FirstFreshChain + Interlocked.Increment(ref _freshChains)
            : (long)(Chains * Math.Pow(_random.NextDouble(), 1.5));
        return chain * ChainBlocks;
    }

    public long NextRespKey() => FirstRespKey + (long)(RespKeys * Math.Pow(_random.NextDouble(), 1.5));
}
