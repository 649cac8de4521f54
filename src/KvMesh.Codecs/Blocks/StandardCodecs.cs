using KvMesh.Codecs.CacheGen;
using KvMesh.Codecs.EntropyCoded;
using KvMesh.Codecs.Fp8;
using KvMesh.Codecs.Gear;
using KvMesh.Codecs.Kivi;
using KvMesh.Codecs.Lossless;
using KvMesh.Codecs.LowRank;
using KvMesh.Codecs.Mixed;
using KvMesh.Codecs.NonUniform;
using KvMesh.Codecs.Raw;
using KvMesh.Codecs.Rotated;
using KvMesh.Codecs.ScaledChannels;
using KvMesh.Codecs.Turbo;
using KvMesh.Codecs.Uniform;

namespace KvMesh.Codecs.Blocks;

/// <summary>The list of codecs: one line each.</summary>
internal static class StandardCodecs
{
    public static CodecFamily[] Families
    {
        get
        {
            CodecFamily[] single = Single;
            return [.. single, MixedCodec.FamilyOf(single)];
        }
    }

    private static CodecFamily[] Single =>
    [
        RawCodec.Family,
        Fp8Codec.Family,
        UniformCodec.Family,
        KiviCodec.Family,
        LosslessCodec.Family,
        EcqCodec.Family,
        ProgressiveCodec.Family,
        NonUniformCodec.Family,
        GearCodec.Family,
        ScaledChannelsCodec.Family,
        LowRankCodec.Family,
        CacheGenCodec.Family,
        RotatedCodec.Family,
        TurboCodec.Family,
    ];
}
