using System.Collections.Concurrent;
using KvMesh.Codecs.Bases;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests.Skv1;

/// <summary>Bases of the models of SKV-1, each made of one sequence that nothing is measured on.</summary>
public static class Skv1Bases
{
    private static readonly ConcurrentDictionary<(int Seed, Skv1Regime Regime), Lazy<ModelBases>> Made = new();

    public static ModelBases Of(int seed, Skv1Regime regime) =>
        Made.GetOrAdd((seed, regime), key => new Lazy<ModelBases>(() => Make(key.Seed, key.Regime))).Value;

    private static ModelBases Make(int seed, Skv1Regime regime)
    {
        var (keys, values) = Skv1Sample.GenerateOther(seed, regime);
        var layout = new KvLayout(KvElement.BFloat16, Skv1Sample.Tokens, [LayerLayout.Full(1, Skv1Sample.Channels)], Skv1Sample.Rope);
        var geometry = new BlockGeometry(layout, BlockOrder.LayerPartHeadToken, BlockRegion.Whole(layout));
        var block = new byte[geometry.Bytes];
        ElementConversion.FromSingle(KvElement.BFloat16, keys, block, SimdLevels.Best);
        ElementConversion.FromSingle(KvElement.BFloat16, values, block.AsSpan(block.Length / 2), SimdLevels.Best);
        var calibration = new BasisCalibration(layout);
        calibration.Add(geometry, block, firstPosition: 0);
        return calibration.Finish();
    }
}
