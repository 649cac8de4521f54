using System.Globalization;
using System.Text;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Opaque;
using KvMesh.Codecs.Tests.Skv1;

namespace KvMesh.LoadTest.Verbs;

/// <summary>The table of SKV-1: what each codec takes and loses, beside the reference where there is one.</summary>
internal static class Skv1Table
{
    private const double Tolerance = 0.05;

    public static IReadOnlyList<MeasuredCodec> Measure(IEnumerable<KvCodec> codecs, bool opaque)
    {
        var figures = new List<MeasuredCodec>();
        foreach (var codec in codecs)
        {
            RunSettings.Progress($"{codec}, SKV-1");
            var measured = CodecsUnderTest.KnowsModel(codec)
                ? Skv1Measurement.Measure(bases => CodecRegistry.WithBases(bases).Find(codec.Name)!)
                : Skv1Measurement.Measure(codec);
            figures.Add(new MeasuredCodec(codec.Name, codec.Id, measured));
        }

        if (opaque)
        {
            figures.Add(new MeasuredCodec(OpaqueCodec.Name, OpaqueCodec.Id, OpaqueBlock.Measure()));
        }

        return figures;
    }

    public static string Format(IReadOnlyList<MeasuredCodec> measured)
    {
        var text = new StringBuilder(
            """
            A: diffuse attention. B: sharp with sinks, first four tokens raw. B⁻: the same with sinks coded. In brackets the reference and the difference.

            | codec | bits | ratio | relK | relV | relO A | relO B | relO B⁻ | within 5 % |
            |---|---|---|---|---|---|---|---|---|

            """);
        foreach (var (codec, _, figures) in measured)
        {
            var reference = Skv1Reference.Find(codec);
            (double Actual, double? Expected)[] columns =
            [
                (figures.Bits, reference?.Bits), (figures.Ratio, reference?.Ratio), (figures.Keys, reference?.Keys), (figures.Values, reference?.Values),
                (figures.Diffuse, reference?.Diffuse), (figures.Sharp, reference?.Sharp), (figures.SharpCodedSinks, reference?.SharpCodedSinks),
            ];
            text.Append(CultureInfo.InvariantCulture, $"| {codec} |");
            foreach (var (actual, expected) in columns)
            {
                text.Append(CultureInfo.InvariantCulture, $" {Number(actual)}{Beside(actual, expected)} |");
            }

            var agrees = Array.TrueForAll(columns, column => column.Expected is not { } expected || Math.Abs(column.Actual - expected) <= Tolerance * expected);
            text.Append(reference is null ? " no reference |\n" : agrees ? " yes |\n" : " **no** |\n");
        }

        return text.ToString();
    }

    private static string Beside(double actual, double? expected) => expected switch
    {
        null => "",
        0 => " (0)",
        { } value => string.Create(CultureInfo.InvariantCulture, $" ({Number(value)}, {(actual / value) - 1:+0.0 %;-0.0 %;0 %})"),
    };

    private static string Number(double value) => value switch
    {
        0 => "0",
        < 1 => value.ToString("0.0000", CultureInfo.InvariantCulture),
        _ => value.ToString("0.00", CultureInfo.InvariantCulture),
    };
}

/// <summary>What one codec takes and loses.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Id">Its kind.</param>
/// <param name="Figures">On SKV-1.</param>
internal sealed record MeasuredCodec(string Name, CodecId Id, Skv1Figures Figures);
