using System.Globalization;
using System.Text;
using KvMesh.Codecs.Blocks;
using KvMesh.LoadTest.Reporting;

namespace KvMesh.LoadTest.Verbs;

/// <summary>The table of docs/CODECS.md and the picture beside it, made of what was measured.</summary>
internal static class CodecDocuments
{
    private const string Begin = "<!-- measured codecs -->";
    private const string End = "<!-- end of measured codecs -->";
    private const string Picture = "codecs-rate-distortion.svg";

    private static readonly Dictionary<CodecId, string> When = new()
    {
        [CodecId.Raw] = "comparison; what a policy falls back to",
        [CodecId.Fp8] = "what engines store without calibration: at the same bytes `int8-kc` loses five times less",
        [CodecId.UniformGroups] = "comparison",
        [CodecId.Kivi] = "warm tiers: four bits at the speed of memory",
        [CodecId.NonUniform] = "models with levels of their own",
        [CodecId.Gear] = "where probes show that losses of tokens are alike",
        [CodecId.ScaledChannels] = "four and eight bits where only groups per token are to be had",
        [CodecId.Rotated] = "comparison with four bits per token",
        [CodecId.Turbo] = "comparison: without means taken out keys lose twice as much",
        [CodecId.CacheGen] = "comparison with CacheGen",
        [CodecId.Lossless] = "sealed prefixes on disk and remote, and whatever lossless reads want",
        [CodecId.TransformCoding] = "cold tiers of models that were calibrated: two to three bits",
        [CodecId.Mixed] = "keys with more bits than values",
        [CodecId.EntropyCoded] = "disk and network: least error for its bytes",
        [CodecId.LowRank] = "comparison; thin keys as an index",
        [CodecId.SharedProjection] = "models whose heads are thin, as a calibration shows",
        [CodecId.ProgressiveEntropyCoded] = "networks of changing speed: a prefix is a block",
        [CodecId.Opaque] = "payloads of which nothing is known",
    };

    /// <summary>What is to be said of one preset rather than of its kind.</summary>
    private static readonly Dictionary<string, string> WhenOf = new()
    {
        ["int8"] = "values and latents at eight bits, at the speed of memory",
        ["int8-kc"] = "hot tiers: the safe default",
        ["int4-g64"] = "values; keys lose too much",
        ["int8-k-int4-v-g64"] = "hot tiers that need a quarter more",
        ["kivi4-g32"] = "warm tiers: the safe one of four bits",
        ["kivi4-v2-g32"] = "where values are known to bear two bits",
        ["kivi2-g32"] = "models without grouped heads only",
        ["kivi2-g64"] = "models without grouped heads only",
        ["kivi2-g32-unrotated"] = "models without grouped heads only",
        ["turbo2-centred"] = "about two bits without calibration",
        ["turbo3-centred"] = "about three bits without calibration",
        ["turbo4-centred"] = "about four bits without calibration",
        ["hadamard-int4-g128-centred"] = "four bits per token where channels cannot be grouped",
        ["ecq-0.17"] = "disk and network: in place of eight bits at a little more than half the bytes",
        ["ecq-0.34"] = "disk and network: the default",
        ["ecq-0.5"] = "disk and network: about three bits",
        ["ecq-1.4"] = "cold tiers: the least that is any use",
        ["mixed-k8-v4"] = "models whose keys are sensitive",
        ["mixed-ecq-k3-v2"] = "disk and network, first layers better; a plan of the model's own is better still (`PlanSearch`)",
    };

    /// <summary>Writes the table into CODECS.md of a folder, between its marks, and the picture beside it.</summary>
    /// <param name="folder">The folder of the documents.</param>
    /// <param name="figures">What each codec takes and loses.</param>
    /// <param name="rows">Speeds as the report has them.</param>
    /// <exception cref="LoadTestException">There is no document with marks there.</exception>
    public static void Write(string folder, IReadOnlyList<MeasuredCodec> figures, IReadOnlyList<ReportRow> rows)
    {
        var path = Path.Combine(folder, "CODECS.md");
        var document = File.Exists(path) ? File.ReadAllText(path) : "";
        var (begin, end) = (document.IndexOf(Begin, StringComparison.Ordinal), document.IndexOf(End, StringComparison.Ordinal));
        if (begin < 0 || end < begin)
        {
            throw new LoadTestException($"{path} has no lines '{Begin}' and '{End}' to write the table between.");
        }

        File.WriteAllText(path, $"{document[..(begin + Begin.Length)]}\n\n{Table(figures, rows)}\n{document[end..]}");
        var points = figures.Select(codec => new RatePoint(codec.Name, codec.Id.ToString(), codec.Figures.Bits, codec.Figures.Diffuse));
        File.WriteAllText(Path.Combine(folder, Picture), RateDistortionPicture.Draw(points));
    }

    private static string Table(IReadOnlyList<MeasuredCodec> figures, IReadOnlyList<ReportRow> rows)
    {
        var text = new StringBuilder(
            """
            | preset | id | bits | ratio | relK | relV | relO A | encode ÷ memcpy | decode ÷ memcpy | when |
            |---|---|---|---|---|---|---|---|---|---|

            """);
        foreach (var (codec, id, loss) in figures.OrderBy(codec => codec.Id))
        {
            text.Append(CultureInfo.InvariantCulture, $"| `{codec}` | {(int)id} | {loss.Bits:0.00} | {loss.Ratio:0.00} | {loss.Keys:0.000} | {loss.Values:0.000} | {loss.Diffuse:0.000} ");
            text.Append(CultureInfo.InvariantCulture, $"| {Speed(rows, $"{codec} encode")} | {Speed(rows, $"{codec} decode")} | {WhenToUse(codec, id)} |\n");
        }

        return text.ToString();
    }

    private static string WhenToUse(string codec, CodecId id) =>
        WhenOf.TryGetValue(codec, out var own) || When.TryGetValue(id, out own) ? own : throw new LoadTestException($"nothing says when to use {codec}: write it in {nameof(CodecDocuments)}.");

    /// <summary>Of the largest block that was measured.</summary>
    private static string Speed(IReadOnlyList<ReportRow> rows, string who) =>
        rows.LastOrDefault(row => row.Who == who)?.Ratio is { } ratio ? ratio.Median.ToString("0.00", CultureInfo.InvariantCulture) : "";
}
