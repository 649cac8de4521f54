using System.CommandLine;
using System.Globalization;
using System.Text;
using KvMesh.Codecs.Blocks;
using KvMesh.LoadTest.Quality;
using KvMesh.LoadTest.Reporting;

namespace KvMesh.LoadTest.Verbs;

/// <summary>What lossy codecs cost a model that was trained to remember: answers and losses behind encoded and decoded keys and values.</summary>
internal static class QualityVerb
{
    private const int Length = 1024;

    private static readonly Option<string> Folder = new("--model")
    {
        Description = "Folder of the model.",
        DefaultValueFactory = _ => Path.Combine("benchmarks", "quality", "model"),
    };

    private static readonly Option<string[]> Only = new("--only")
    {
        Description = "Presets to judge; all that need no basis of a model without.",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [],
    };

    private static readonly Option<int> Texts = new("--texts") { Description = "Texts of pairs (128 questions each); eight times as many with pass keys (8 each), and as many stories.", DefaultValueFactory = _ => 8 };
    private static readonly Option<int> BlockTokens = new("--block-tokens") { Description = "Tokens of a block.", DefaultValueFactory = _ => 256 };
    private static readonly Option<int> Threads = new("--threads") { Description = "Threads that compute.", DefaultValueFactory = _ => Math.Min(2, Environment.ProcessorCount) };

    public static Command Create() => RunOptions.Verb(
        "quality", "Retrieval and loss per token of a small trained model behind each codec.", 1,
        command =>
        {
            command.Add(Folder);
            command.Add(Only);
            command.Add(Texts);
            command.Add(BlockTokens);
            command.Add(Threads);
        },
        (parse, _) => Run(parse));

    private static Report Run(ParseResult parse)
    {
        var folder = parse.GetValue(Folder)!;
        if (!File.Exists(Path.Combine(folder, "config.json")))
        {
            throw new LoadTestException($"--model {folder} holds no model; benchmarks/quality/README.md says how to make one.");
        }

        var (texts, blockTokens) = (parse.GetValue(Texts), parse.GetValue(BlockTokens));
        if (texts < 1 || blockTokens is < 16 or > 512)
        {
            throw new LoadTestException($"--texts {texts} must be at least 1, and --block-tokens {blockTokens} from 16 to 512.");
        }

        var codecs = Chosen(parse.GetValue(Only)!);
        var report = new Report(
            "quality",
            $"Texts of {Length} tokens whose blocks of {blockTokens} tokens before the questions (of stories: the first half) are encoded and decoded; what follows is computed behind them. "
            + "bfloat16. Ratio: bytes as computed over bytes encoded, headers included. Seeds that no training saw.");
        RunSettings.Progress("computing what is cached");
        var counts = new Dictionary<QualityTask, int> { [QualityTask.Pairs] = texts, [QualityTask.Passkey] = 8 * texts, [QualityTask.Story] = texts };
        using var survey = new QualitySurvey(folder, parse.GetValue(Threads), Length, blockTokens, counts);
        var exact = survey.Exact();
        var table = new StringBuilder("| codec | ratio | pass keys | key and value | loss per token, stories | more than exact |\n|---|---|---|---|---|---|\n").Append(RowOf(exact, exact));
        foreach (var codec in codecs)
        {
            RunSettings.Progress(codec.Name);
            table.Append(RowOf(survey.Of(codec), exact));
        }

        report.AddTable(table.ToString());
        report.Note($"Pass keys: {exact.Scores[QualityTask.Passkey].Asked} questions; key and value: {exact.Scores[QualityTask.Pairs].Asked}; stories: {exact.Scores[QualityTask.Story].Tokens} tokens. "
            + "The first tokens of a sequence stay raw in every lossy codec. Presets that need bases of a model are not judged: this one has none.");
        return report;
    }

    private static string RowOf(QualityFigures figures, QualityFigures exact)
    {
        var loss = figures.Scores[QualityTask.Story].LossPerToken;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {figures.Codec} | {figures.Ratio:0.00} | {figures.Scores[QualityTask.Passkey].Accuracy:0.0 %} | {figures.Scores[QualityTask.Pairs].Accuracy:0.0 %} | {loss:0.0000} | {loss - exact.Scores[QualityTask.Story].LossPerToken:+0.0000;-0.0000;0} |\n");
    }

    private static KvCodec[] Chosen(string[] names) => names.Length == 0
        ? [.. CodecRegistry.Standard.Presets]
        : [.. names.Select(name => CodecRegistry.Standard.Find(name)
            ?? throw new LoadTestException($"there is no codec {name}; there are {string.Join(", ", CodecRegistry.Standard.Presets)}."))];
}
