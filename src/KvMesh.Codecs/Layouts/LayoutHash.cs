using System.Buffers.Binary;
using System.Security.Cryptography;

namespace KvMesh.Codecs.Layouts;

/// <summary>
/// SHA-256 over the canonical bytes of a layout: a version byte, then every field that says what stored bytes are, in the order of this
/// file; integers as i32 little endian, absent ones as -1, doubles as their bits. Query heads are not among them: they only read.
/// What is written here names blocks on disks: change it only with the version.
/// </summary>
internal static class LayoutHash
{
    private const byte Version = 1;

    public static byte[] Compute(KvLayout layout)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData([Version, (byte)layout.Element, (byte)layout.KeyStage]);
        Append(hash, layout.BlockTokens);
        AppendRope(hash, layout.Rope);
        Append(hash, layout.Layers.Length);
        foreach (var layer in layout.Layers)
        {
            AppendLayer(hash, layer);
        }

        return hash.GetHashAndReset();
    }

    private static void AppendRope(IncrementalHash hash, RopeSpec? rope)
    {
        if (rope is null)
        {
            Append(hash, -1);
            return;
        }

        Append(hash, rope.RotaryChannels);
        hash.AppendData([(byte)rope.Style, (byte)rope.Scaling]);
        Append(hash, rope.Theta);
        if (rope.Scaling != RopeScaling.None)
        {
            Append(hash, rope.Factor);
        }

        if (rope.Scaling is RopeScaling.Llama3 or RopeScaling.Yarn)
        {
            Append(hash, rope.LowFrequencyFactor);
            Append(hash, rope.HighFrequencyFactor);
            Append(hash, rope.OriginalTokens);
        }

        if (rope.Scaling is RopeScaling.Yarn or RopeScaling.LongRope)
        {
            Append(hash, rope.AttentionFactor);
        }

        if (rope.Scaling == RopeScaling.LongRope)
        {
            Append(hash, rope.OriginalTokens);
            foreach (var factor in rope.PairFactors)
            {
                Append(hash, factor);
            }
        }
    }

    private static void AppendLayer(IncrementalHash hash, LayerLayout layer)
    {
        hash.AppendData([(byte)layer.Kind, (byte)(layer.LatentElement ?? 0)]);
        Append(hash, layer.KeyHeads);
        Append(hash, layer.ValueHeads);
        Append(hash, layer.KeyChannels);
        Append(hash, layer.ValueChannels);
        Append(hash, layer.WindowTokens);
        Append(hash, layer.LatentChannels);
        Append(hash, layer.LatentRopeChannels);
        Append(hash, layer.LatentTailBytes);
        Append(hash, layer.StateBytes);
        Append(hash, layer.KeyAlias ?? -1);
        Append(hash, layer.ValueAlias ?? -1);
        Append(hash, layer.HeadClasses.Length);
        foreach (var head in layer.HeadClasses)
        {
            Append(hash, head.SinkTokens);
            Append(hash, head.RecentTokens);
        }
    }

    private static void Append(IncrementalHash hash, int value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
        hash.AppendData(bytes);
    }

    private static void Append(IncrementalHash hash, double value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(double)];
        BinaryPrimitives.WriteDoubleLittleEndian(bytes, value);
        hash.AppendData(bytes);
    }
}
