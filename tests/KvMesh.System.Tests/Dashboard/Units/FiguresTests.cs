using KvMesh.Dashboard.Board;

namespace KvMesh.System.Tests.Dashboard.Units;

public sealed class FiguresTests
{
    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(999, "999 B")]
    [InlineData(1023.9, "1.00 KiB")]
    [InlineData(1536, "1.50 KiB")]
    [InlineData(16L << 30, "16.0 GiB")]
    [InlineData(400L << 30, "400 GiB")]
    [InlineData(1L << 60, "1024 PiB")]
    public void Sizes_are_binary_with_three_digits(double bytes, string text) => Assert.Equal(text, Plain(Figures.Bytes(bytes)));

    [Theory]
    [InlineData(0, "0 B/s")]
    [InlineData(999_600, "1.00 MB/s")]
    [InlineData(2_340_000_000, "2.34 GB/s")]
    public void Rates_are_decimal(double rate, string text) => Assert.Equal(text, Plain(Figures.BytesPerSecond(rate)));

    [Theory]
    [InlineData(0, "0")]
    [InlineData(9_999, "9,999")]
    [InlineData(12_345, "12.3 k")]
    [InlineData(4_560_000, "4.56 M")]
    public void Counts_are_exact_while_a_person_reads_them(double count, string text) => Assert.Equal(text, Plain(Figures.Count(count)));

    [Theory]
    [InlineData(184.0, "184 µs")]
    [InlineData(1_420.0, "1.42 ms")]
    [InlineData(2_100_000.0, "2.10 s")]
    [InlineData(null, "–")]
    public void Times_take_the_unit_that_fits(double? microseconds, string text) => Assert.Equal(text, Plain(Figures.Microseconds(microseconds)));

    [Theory]
    [InlineData(0.0, "0 %")]
    [InlineData(0.9734, "97.3 %")]
    [InlineData(0.9994, "99.9 %")]
    [InlineData(1.0, "100 %")]
    [InlineData(null, "–")]
    public void A_share_is_all_only_when_it_is_all(double? share, string text) => Assert.Equal(text, Plain(Figures.Percent(share)));

    [Fact]
    public void Spans_have_two_units() =>
        Assert.Equal(
            ["3 d 4 h", "2 h 5 min", "12 min 5 s", "7 s", "0 s"],
            new[] { new TimeSpan(3, 4, 5, 6), new TimeSpan(2, 5, 59), new TimeSpan(0, 12, 5), TimeSpan.FromSeconds(7.9), TimeSpan.FromSeconds(-1) }.Select(Figures.Span));

    private static string Plain(Figure figure) => figure.ToString().Replace('\u202f', ' ');
}
