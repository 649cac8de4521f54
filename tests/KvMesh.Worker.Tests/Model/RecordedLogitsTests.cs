namespace KvMesh.Worker.Tests.Model;

/// <summary>Logits that agreed with PyTorch when they were recorded, for machines without it: the first six of the last of thirty tokens.</summary>
public sealed class RecordedLogitsTests
{
    public static TheoryData<int, float[]> Recorded => new()
    {
        { 1, [-2.34213f, 0.65018f, 1.28240f, -0.96009f, 2.36437f, 0.45908f] },
        { 2, [-0.85825f, 1.97463f, 1.71834f, -0.00666f, -0.15541f, 0.86309f] },
        { 5, [-1.22909f, 0.24068f, -1.56807f, -2.03519f, 1.37021f, -1.83553f] },
        { 9, [0.42151f, -0.02242f, -0.39276f, 2.58376f, 0.19487f, -0.18330f] },
        { 10, [-0.84694f, -0.49919f, -1.21609f, 0.00189f, -1.75431f, -1.02255f] },
        { 11, [-0.61372f, -0.52711f, -1.14534f, -0.10920f, -1.55397f, -0.77445f] },
    };

    [Theory]
    [MemberData(nameof(Recorded))]
    public void Logits_are_those_that_were_recorded(int shape, float[] expected)
    {
        using var model = new TestModel(Shapes.All[shape]);
        using var run = new ModelRun(model.Path);
        var actual = run.Logits(model.Tokens(30))[^1][..expected.Length];

        Assert.True(
            expected.Zip(actual, (one, other) => MathF.Abs(one - other)).Max() < 1e-4f,
            $"{model.Shape}: {{ {shape}, [{string.Join(", ", actual.Select(logit => $"{logit:0.00000}f"))}] }},");
    }
}
