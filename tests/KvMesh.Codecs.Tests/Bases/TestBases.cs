using KvMesh.Codecs.Bases;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Tests.Bases;

/// <summary>Bases of the strips that contracts try codecs on: of the first head of the first layer, with 64 and with 128 channels.</summary>
internal static class TestBases
{
    public static ModelBases OfStrips { get; } = ModelBases.Of(
        from channels in new[] { 64, 128 }
        from kind in new[] { PlaneKind.Key, PlaneKind.Value }
        select (new BasisKey(0, kind, 0, channels), Calibrate(StripData.Keys(StripData.ShapeOf(512, channels, KvElement.BFloat16, kind), 1)).Find(new BasisKey(0, kind, 0, channels))!));

    /// <summary>Bases of one strip.</summary>
    public static ModelBases Calibrate(StripData strip)
    {
        var (shape, layout) = (strip.Shape, strip.Shape.Layout);
        var calibration = new BasisCalibration(layout);
        var geometry = new BlockGeometry(layout, BlockOrder.LayerPartHeadToken, BlockRegion.Whole(layout));
        var block = new byte[geometry.Bytes];
        foreach (var plane in geometry.Planes)
        {
            strip.Bytes.CopyTo(block.AsSpan(plane.Offset));
        }

        calibration.Add(geometry, block, shape.FirstPosition);
        return calibration.Finish();
    }

    /// <summary>Asserts that no more was lost than there was, the mean of the basis and rounding aside.</summary>
    public static void AssertLosesNoMoreThanThereWas(StripData strip, float[] decoded, HeadBasis basis, double share, Func<KvElement, double, double> ulp)
    {
        double errors = 0, squares = 0, slack = 0;
        for (var index = 0; index < decoded.Length; index++)
        {
            var mean = basis.Mean[index % basis.Channels];
            errors += Math.Pow((double)strip.Values[index] - decoded[index], 2);
            squares += Math.Pow(strip.Values[index], 2) + (mean * mean);
            slack += Math.Pow(ulp(strip.Shape.Element, strip.Values[index]) + ulp(strip.Shape.Element, decoded[index]) + 1e-4, 2);
        }

        Assert.True(Math.Sqrt(errors) <= (share * Math.Sqrt(2 * squares)) + Math.Sqrt(slack), $"{strip}: error {Math.Sqrt(errors)} of {Math.Sqrt(squares)}");
    }
}
