using System.Globalization;

namespace KvMesh.Cli.Output;

/// <summary>How figures are written for people.</summary>
internal static class Formats
{
    private static readonly string[] Units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    private static readonly char[] Bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

    /// <summary>Bytes in powers of 1,024, three digits: "64 KiB", "1.46 GiB".</summary>
    public static string Bytes(double bytes)
    {
        var unit = 0;
        while (Math.Abs(bytes) >= 1024 && unit < Units.Length - 1)
        {
            bytes /= 1024;
            unit++;
        }

        return $"{Digits(bytes)} {Units[unit]}";
    }

    public static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    public static string Percent(double ratio) => (ratio * 100).ToString("0.00", CultureInfo.InvariantCulture) + " %";

    /// <summary>A rate of bytes in powers of ten, as networks and memory are rated.</summary>
    public static string Rate(double bytesPerSecond) => bytesPerSecond switch
    {
        >= 1e9 => (bytesPerSecond / 1e9).ToString("0.00", CultureInfo.InvariantCulture) + " GB/s",
        >= 1e6 => (bytesPerSecond / 1e6).ToString("0", CultureInfo.InvariantCulture) + " MB/s",
        _ => (bytesPerSecond / 1e3).ToString("0", CultureInfo.InvariantCulture) + " kB/s",
    };

    public static string Latency(TimeSpan latency) => latency.TotalMilliseconds switch
    {
        >= 1000 => Digits(latency.TotalSeconds) + " s",
        >= 1 => Digits(latency.TotalMilliseconds) + " ms",
        _ => Digits(latency.TotalMicroseconds) + " µs",
    };

    public static string Duration(TimeSpan duration) => duration.TotalHours >= 24
        ? $"{(int)duration.TotalDays} d {duration.Hours} h"
        : duration.TotalHours >= 1 ? $"{duration.Hours} h {duration.Minutes:00} min"
        : duration.TotalMinutes >= 1 ? $"{duration.Minutes} min {duration.Seconds:00} s"
        : $"{duration.TotalSeconds:0.0} s";

    /// <summary>A bar of <paramref name="width"/> characters, filled by <paramref name="ratio"/>.</summary>
    public static string Bar(double ratio, int width)
    {
        var filled = (int)Math.Round(Math.Clamp(ratio, 0, 1) * width);
        return new string('█', filled) + new string('░', width - filled);
    }

    /// <summary>The last <paramref name="width"/> values as columns, relative to the largest.</summary>
    public static string Sparkline(IReadOnlyList<double> values, int width)
    {
        var shown = values.Skip(Math.Max(0, values.Count - width)).ToArray();
        var top = shown.Length == 0 ? 0 : shown.Max();
        return string.Concat(shown.Select(value => top <= 0 ? Bars[0] : Bars[(int)Math.Round(value / top * (Bars.Length - 1))]));
    }

    private static string Digits(double value) => Math.Abs(value) switch
    {
        >= 100 => value.ToString("0", CultureInfo.InvariantCulture),
        >= 10 => value.ToString("0.#", CultureInfo.InvariantCulture),
        _ => value.ToString("0.##", CultureInfo.InvariantCulture),
    };
}
