namespace KvMesh.Codecs.Tests.Skv1;

/// <summary>What a codec takes and loses on SKV-1, averaged over its seeds.</summary>
/// <param name="Bits">Bits per element of keys and values, without headers and raw tokens.</param>
/// <param name="Keys">Relative error of keys, regime A.</param>
/// <param name="Values">Relative error of values, regime A.</param>
/// <param name="Diffuse">Relative error of outputs, regime A.</param>
/// <param name="Sharp">The same in regime B, where the first four tokens are raw.</param>
/// <param name="SharpCodedSinks">The same in regime B with the first tokens coded like the others (B⁻).</param>
public sealed record Skv1Figures(double Bits, double Keys, double Values, double Diffuse, double Sharp, double SharpCodedSinks)
{
    public double Ratio => 16 / Bits;
}

/// <summary>Figures of SKV-1 that were measured when it was made, by the preset that is coded in that way.</summary>
public static class Skv1Reference
{
    private static readonly Dictionary<string, Skv1Figures> Rows = new()
    {
        ["fp8-e4m3"] = new(8, .0268, .0266, .0643, .0638, .0724),
        ["fp8-e4m3-row"] = new(8.125, .0227, .0254, .0579, .0554, .0660),
        ["fp8-e5m2"] = new(8, .0541, .0527, .1263, .1210, .1371),
        ["int8"] = new(8.125, .0131, .0078, .0299, .0282, .0322),
        ["int8-kc"] = new(8.094, .0049, .0078, .0121, .0111, .0138),
        ["int4-g32"] = new(5, .1134, .0836, .2687, .2754, .2944),
        ["int4-g64"] = new(4.5, .1565, .0986, .3650, .3829, .4003),
        ["int4-g128"] = new(4.25, .1972, .1131, .4814, .5209, .5413),
        ["int2-g32"] = new(3, .6512, .4195, 2.4709, 3.4378, 3.3461),
        ["kivi4-g32"] = new(5, .0374, .0836, .1006, .0874, .1145),
        ["kivi4-g64"] = new(4.5, .0445, .0986, .1197, .1027, .1363),
        ["kivi4-g128"] = new(4.25, .0511, .1131, .1390, .1183, .1595),
        ["kivi4-v2-g32"] = new(4, .0374, .4195, .3636, .2764, .4137),
        ["kivi2-g32"] = new(3, .1882, .4195, .5540, .5164, .6388),
        ["kivi2-g64"] = new(2.5, .2237, .4948, .6539, .6435, .7853),
        ["lossless"] = new(10.7, 0, 0, 0, 0, 0),

        // Named here for codecs to come; a preset of this name is compared.
        ["hadamard-int4-g128"] = new(4.25, .0940, .0994, .2421, .2321, .2717),
        ["turbo2"] = new(2.125, .3269, .3398, .7513, .7210, 1.2076),
        ["turbo3"] = new(3.125, .1766, .1836, .4379, .4109, .5484),
        ["turbo4"] = new(4.125, .0934, .0961, .2351, .2189, .2553),
        ["turbo2-centred"] = new(2.156, .1775, .3398, .5148, .4312, .7389),
        ["turbo3-centred"] = new(3.156, .0960, .1836, .2882, .2549, .3857),
        ["turbo4-centred"] = new(4.156, .0503, .0961, .1528, .1424, .1954),
        ["nuq2-post"] = new(2.188, .1850, .3844, .5274, .4630, .8304),
        ["nuq3-post"] = new(3.188, .0974, .1985, .2797, .2459, .4516),
        ["nuq4-post"] = new(4.188, .0495, .0983, .1415, .1293, .2137),
        ["nuq2-1pct"] = new(2.535, .1613, .3213, .4387, .3761, .4717),
        ["nuq3-1pct"] = new(3.535, .0837, .1643, .2279, .1986, .2485),
        ["nuq4-1pct"] = new(4.535, .0425, .0820, .1148, .1037, .1293),
        ["kivi4-g64-unrotated"] = new(4.5, .0427, .0986, .1156, .0992, .1329),
        ["kivi2-g32-unrotated"] = new(3, .1816, .4195, .5282, .4809, .6101),
        ["cachegen-32"] = new(3.433, .1099, .0645, .2602, .2604, .2841),
        ["cachegen-16"] = new(2.411, .2339, .1382, .5957, .5880, .6094),
        ["cachegen-delta-0.25"] = new(4.312, .0449, .0934, .1276, .1128, .1144),
        ["cachegen-delta-0.5"] = new(3.432, .0896, .1868, .2595, .2294, .2301),
        ["cachegen-delta-1"] = new(2.587, .1787, .3732, .5391, .4953, .4960),
        ["ecq-0.17"] = new(4.699, .0257, .0491, .0650, .0580, .2847),
        ["ecq-0.34"] = new(3.704, .0514, .0981, .1305, .1163, .4983),
        ["ecq-0.5"] = new(3.155, .0755, .1444, .1968, .1680, .5704),
        ["ecq-0.7"] = new(2.684, .1057, .2020, .2704, .2365, .6294),
        ["ecq-1"] = new(2.198, .1510, .2885, .3981, .3617, .7313),
        ["ecq-1.4"] = new(1.764, .2115, .4035, .5759, .5336, .8433),
        ["ecq-0.17-unrotated"] = new(4.699, .0245, .0491, .0644, .0539, .2821),
        ["ecq-0.34-unrotated"] = new(3.704, .0490, .0981, .1265, .1081, .4928),
        ["ecq-0.5-unrotated"] = new(3.155, .0721, .1444, .1874, .1658, .5672),
        ["ecq-0.7-unrotated"] = new(2.684, .1009, .2020, .2609, .2336, .6254),
        ["ecq-1-unrotated"] = new(2.198, .1442, .2885, .3859, .3372, .7093),
        ["ecq-1.4-unrotated"] = new(1.764, .2018, .4035, .5507, .5160, .8317),

        // Whole, layers are what their finest steps are.
        ["ecq-1.53-0.51-0.17"] = new(4.699, .0257, .0491, .0650, .0580, .2847),
        ["ecq-3.06-1.02-0.34"] = new(3.704, .0514, .0981, .1305, .1163, .4983),
    };

    /// <summary>The row of a preset; null when there is none.</summary>
    public static Skv1Figures? Find(string preset) => Rows.GetValueOrDefault(preset);
}
