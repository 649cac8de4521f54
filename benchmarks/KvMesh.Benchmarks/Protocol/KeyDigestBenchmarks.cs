using BenchmarkDotNet.Attributes;
using KvMesh.Protocol.Keys;

namespace KvMesh.Benchmarks.Protocol;

/// <summary>The digest of one native key, beside the checksum of the same bytes.</summary>
public class KeyDigestBenchmarks
{
    private readonly DigestSecret _secret = DigestSecret.Create();
    private readonly byte[] _key = new BlockScope("model-name", "revision", new byte[32], 0).KeyOf(new byte[32]);

    [Benchmark(Baseline = true)]
    public uint Checksum() => KvMesh.Protocol.Integrity.Crc32C.Compute(_key);

    [Benchmark]
    public KeyDigest Digest() => KeyDigest.Compute(_secret, 7, _key);
}
