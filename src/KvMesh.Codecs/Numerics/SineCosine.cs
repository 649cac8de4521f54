namespace KvMesh.Codecs.Numerics;

/// <summary>
/// Sine and cosine of angles up to about 10⁶ within 10⁻⁹, far below what a single holds. Additions, multiplications and rounding only: the
/// system's functions may differ by a bit from machine to machine.
/// </summary>
internal static class SineCosine
{
    private const double TwoOverPi = 0.636619772367581343;

    // π / 2 in two parts, of which the first has so many zeros at its end that its multiples are exact.
    private const double HalfPiHigh = 1.57079632673412561417;
    private const double HalfPiLow = 6.07710050650619224932e-11;

    public static (double Sine, double Cosine) Of(double angle)
    {
        var quarter = Math.Round(angle * TwoOverPi);
        var rest = angle - (quarter * HalfPiHigh) - (quarter * HalfPiLow);
        var square = rest * rest;
        var sine = rest * Polynomial(SineTerms, square);
        var cosine = Polynomial(CosineTerms, square);
        return ((long)quarter & 3) switch
        {
            0 => (sine, cosine),
            1 => (cosine, -sine),
            2 => (-sine, -cosine),
            _ => (-cosine, sine),
        };
    }

    // Taylor terms up to the 13th and 12th power: behind them comes less than 10⁻¹¹ within a quarter turn around zero.
    private static ReadOnlySpan<double> SineTerms =>
        [1.0, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362_880, -1.0 / 39_916_800, 1.0 / 6_227_020_800];

    private static ReadOnlySpan<double> CosineTerms =>
        [1.0, -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40_320, -1.0 / 3_628_800, 1.0 / 479_001_600];

    private static double Polynomial(ReadOnlySpan<double> terms, double x)
    {
        double sum = 0;
        for (var term = terms.Length - 1; term >= 0; term--)
        {
            sum = (sum * x) + terms[term];
        }

        return sum;
    }
}
