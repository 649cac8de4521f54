using KvMesh.Codecs.Bases;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Tests.Skv1;

namespace KvMesh.LoadTest.Verbs;

/// <summary>
/// All presets: those that need nothing, and those that know a model. Blocks whose speed is measured are of no model, so that one basis serves all of their heads.
/// </summary>
internal static class CodecsUnderTest
{
    /// <summary>Where blocks of all presets are read with.</summary>
    public static CodecRegistry Registry { get; } = CodecRegistry.WithBases(BasesOf([SmallLayout, LargeLayout]));

    /// <summary>A block that the caches hold.</summary>
    public static KvLayout SmallLayout => new(KvElement.BFloat16, 256, [LayerLayout.Full(8, 128)]);

    /// <summary>A block of 64 MiB.</summary>
    public static KvLayout LargeLayout => KnownModels.Find("qwen2.5-32b")!;

    /// <summary>Whether the codec is another for each model.</summary>
    public static bool KnowsModel(KvCodec codec) => CodecRegistry.Standard.Find(codec.Name) is null;

    private static ModelBases BasesOf(KvLayout[] layouts)
    {
        var one = Skv1Bases.Of(seed: 1, Skv1Regime.Diffuse);
        var keys = from layout in layouts
                   from layer in Enumerable.Range(0, layout.Layers.Length)
                   from kind in new[] { PlaneKind.Key, PlaneKind.Value }
                   from head in Enumerable.Range(0, layout.Layers[layer].KeyHeads)
                   select new BasisKey(layer, kind, head, Skv1Sample.Channels);
        return ModelBases.Of(keys.Distinct().Select(key => (key, one.Find(new BasisKey(0, key.Kind, 0, key.Channels))!)));
    }
}
