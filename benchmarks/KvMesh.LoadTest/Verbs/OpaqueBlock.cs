using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Numerics;
using KvMesh.Codecs.Opaque;
using KvMesh.Codecs.Tests.Skv1;

namespace KvMesh.LoadTest.Verbs;

/// <summary>The codec of payloads of which nothing is known, on bytes of numbers.</summary>
internal sealed class OpaqueBlock
{
    private readonly CodecScratch _scratch = new();
    private readonly ReadOnlyMemory<byte> _payload;
    private readonly byte[] _encoded;
    private readonly byte[] _decoded;
    private int _length;

    public OpaqueBlock(ReadOnlyMemory<byte> payload)
    {
        _payload = payload;
        _encoded = new byte[OpaqueCodec.MaxBytes(payload.Length)];
        _decoded = new byte[payload.Length];
        Encode();
    }

    public void Encode() => _length = OpaqueCodec.Encode(_payload.Span, _encoded, _scratch);

    public void Decode()
    {
        if (!OpaqueCodec.TryDecode(_encoded.AsSpan(0, _length), _decoded, _scratch))
        {
            throw new LoadTestException($"{OpaqueCodec.Name} does not decode what it encoded.");
        }
    }

    /// <summary>Bits of a number of SKV-1, keys and values as they lie in a block.</summary>
    public static Skv1Figures Measure()
    {
        long encoded = 0, numbers = 0;
        for (var seed = 1; seed <= Skv1Sample.Seeds; seed++)
        {
            var sample = Skv1Sample.Generate(seed, Skv1Regime.Diffuse);
            float[] all = [.. sample.Keys, .. sample.Values];
            var bytes = new byte[all.Length * sizeof(ushort)];
            ElementConversion.FromSingle(KvMesh.Codecs.Layouts.KvElement.BFloat16, all, bytes, SimdLevels.Best);
            encoded += new OpaqueBlock(bytes)._length;
            numbers += all.Length;
        }

        return new Skv1Figures(encoded * 8.0 / numbers, 0, 0, 0, 0, 0);
    }
}
