using System.Runtime.InteropServices;
using KvMesh.TestKit;

namespace KvMesh.Worker.Tests.Model;

/// <summary>The same weights in PyTorch. One process computes all models, since it takes seconds to start.</summary>
public sealed class TorchAgreementTests(TorchAgreementTests.Reference reference) : IClassFixture<TorchAgreementTests.Reference>
{
    private const int TokenCount = 150;
    private const double Tolerance = 1e-4;

    public static TheoryData<int> AllShapes => [.. Enumerable.Range(0, Shapes.All.Count)];

    [Theory]
    [MemberData(nameof(AllShapes))]
    public void Logits_agree_with_torch(int shape)
    {
        var model = reference.Models[shape];
        var expected = MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(Path.Combine(model.Path, "logits.bin"))).ToArray();
        Assert.Equal(TokenCount * model.Shape.Vocabulary, expected.Length);
        using var run = new ModelRun(model.Path);
        var actual = run.Logits(model.Tokens(TokenCount), [100, 49, 1]);

        var most = 0.0;
        for (var token = 0; token < TokenCount; token++)
        {
            for (var index = 0; index < model.Shape.Vocabulary; index++)
            {
                most = Math.Max(most, Math.Abs((double)expected[(token * model.Shape.Vocabulary) + index] - actual[token][index]));
            }
        }

        Assert.True(most < Tolerance, $"{model.Shape}: logits differ by {most}");
    }

    public sealed class Reference : IAsyncLifetime
    {
        internal List<TestModel> Models { get; } = [];

        public async Task InitializeAsync()
        {
            foreach (var shape in Shapes.All)
            {
                var model = new TestModel(shape);
                Models.Add(model);
                model.WriteTokens(model.Tokens(TokenCount));
            }

            var script = Path.Combine(SourceTree.Root, "tests", "python", "llama_reference.py");
            var environment = new Dictionary<string, string> { ["PYTHONDONTWRITEBYTECODE"] = "1" };
            var (exitCode, output, error) = await ChildProcess.RunAsync(
                "/usr/bin/python3", [script, "check", .. Models.Select(model => model.Path)], TimeSpan.FromMinutes(5), environment);
            Assert.True(exitCode == 0, $"{script} ended with {exitCode}; it needs python3-torch.\n{output}\n{error}");
        }

        public Task DisposeAsync()
        {
            Models.ForEach(model => model.Dispose());
            return Task.CompletedTask;
        }
    }
}
