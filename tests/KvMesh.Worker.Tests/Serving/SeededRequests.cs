using KvMesh.Codecs.Layouts;
using KvMesh.Worker.Model.Cache;
using KvMesh.Worker.Model.Compute;
using KvMesh.Worker.Model.Numerics;
using KvMesh.Worker.Model.Sampling;
using KvMesh.Worker.Serving;
using KvMesh.Worker.Tests.Model;

namespace KvMesh.Worker.Tests.Serving;

/// <summary>A small model, requests whose prompts share prefixes, and the tokens of each as one pass after another computes them without any cache.</summary>
internal sealed class SeededRequests : IDisposable
{
    public const int Count = 200;
    public const int BlockTokens = 8;

    private static readonly TestShape Shape = Shapes.Grouped with { Element = "BF16" };

    private readonly TestModel _files = new(Shape);
    private readonly ComputeTeam _team = new(1);
    private readonly Lazy<int[][]> _expected;

    public SeededRequests()
    {
        Model = LlamaModel.Load(_files.Path, _team);
        Format = KvPageFormat.Of(Model.Config, KvElement.BFloat16, BlockTokens);
        Requests = [.. Enumerable.Range(0, Count).Select(Request)];
        _expected = new Lazy<int[][]>(ComputeExpected);
    }

    public LlamaModel Model { get; }

    public KvPageFormat Format { get; }

    public string Path => _files.Path;

    public GenerationRequest[] Requests { get; }

    public int[][] Expected => _expected.Value;

    public static async Task<int[]> TokensAsync(IGenerator generator, GenerationRequest request, CancellationToken cancellationToken = default)
    {
        var tokens = new List<int>();
        await foreach (var token in generator.GenerateAsync(request, cancellationToken))
        {
            tokens.Add(token.Token);
        }

        return [.. tokens];
    }

    /// <summary>Sends some of the requests, several at a time, and compares their tokens.</summary>
    public async Task CompareAsync(IGenerator generator, IEnumerable<int> numbers, int atOnce = 8) => await Parallel.ForEachAsync(
        numbers, new ParallelOptions { MaxDegreeOfParallelism = atOnce }, async (number, cancellationToken) =>
            Assert.Equal((number, string.Join(' ', Expected[number])), (number, string.Join(' ', await TokensAsync(generator, Requests[number], cancellationToken)))));

    public void Dispose()
    {
        Model.Dispose();
        _team.Dispose();
        _files.Dispose();
    }

    private GenerationRequest Request(int number)
    {
        var random = new Random(number);
        var shared = _files.Tokens(40, 1000 + (number % 7))[..random.Next(41)];
        return new GenerationRequest
        {
            Prompt = [.. shared, .. _files.Tokens(1 + random.Next(30), number)],
            MaxTokens = 1 + random.Next(14),
            Sampling = random.Next(3) == 0
                ? SamplingRule.Greedy
                : new SamplingRule { Temperature = 0.5f + random.NextSingle(), TopK = random.Next(2) * 40, TopP = 1 - (random.Next(2) * 0.1f), Seed = (ulong)number },
        };
    }

    private int[][] ComputeExpected()
    {
        using var pass = new ForwardPass(Model);
        using var pool = new KvPagePool(Format, 32);
        return Array.ConvertAll(Requests, request =>
        {
            using var pages = pool.NewSequence();
            Assert.True(pages.TryReserve(request.Prompt.Count + request.MaxTokens));
            var tokens = request.Prompt.ToList();
            pass.Run(new ModelInput(tokens.ToArray(), 0, pages));
            while (true)
            {
                tokens.Add(TokenSampler.Choose(pass.Logits(0), request.Sampling, tokens.Count));
                if (tokens.Count == request.Prompt.Count + request.MaxTokens)
                {
                    return tokens.Skip(request.Prompt.Count).ToArray();
                }

                pass.Run(new ModelInput(new[] { tokens[^1] }, tokens.Count - 1, pages));
            }
        });
    }
}
