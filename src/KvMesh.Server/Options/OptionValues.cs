using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace KvMesh.Server.Options;

/// <summary>Options as text: sizes may be written "64GiB", times "20s".</summary>
internal static class OptionValues
{
    private static readonly (string Suffix, long Factor)[] Sizes =
    [
        ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("TiB", 1L << 40),
        ("K", 1L << 10), ("M", 1L << 20), ("G", 1L << 30), ("T", 1L << 40),
    ];

    private static readonly (string Suffix, double Milliseconds)[] Times = [("ms", 1), ("s", 1e3), ("m", 60e3), ("h", 3600e3), ("d", 86400e3)];

    /// <summary>Reads a value of a type. On failure <paramref name="expected"/> says what would have been accepted.</summary>
    public static bool TryParse(Type type, string text, [NotNullWhen(true)] out object? value, out string expected)
    {
        (value, expected) = type switch
        {
            _ when type == typeof(string) => (text, "text"),
            _ when type == typeof(bool) => (bool.TryParse(text, out var flag) ? flag : (object?)null, "true or false"),
            _ when type == typeof(int) => (Whole(text) is { } number && number is >= int.MinValue and <= int.MaxValue ? (int)number : null, "a whole number"),
            _ when type == typeof(long) => (Whole(text), "a whole number, which may end in KiB, MiB, GiB or TiB"),
            _ when type == typeof(double) => (Real(text), "a number"),
            _ when type == typeof(TimeSpan) => (Time(text), "a time such as 500ms, 20s, 5m, 1h or 00:00:20"),
            _ when type.IsEnum => (Name(type, text), "one of " + string.Join(", ", Enum.GetNames(type))),
            _ => throw new NotSupportedException($"Options of type {type} are not read."),
        };
        return value is not null;
    }

    public static string Format(object? value) => value switch
    {
        null => "",
        bool flag => flag ? "true" : "false",
        TimeSpan time => FormatTime(time),
        IEnumerable<string> names => string.Join(",", names),
        _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
    };

    private static long? Whole(string text, long factor) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
        && number <= long.MaxValue / factor && number >= long.MinValue / factor
            ? number * factor
            : null;

    private static long? Whole(string text)
    {
        var trimmed = text.Trim();
        var (suffix, factor) = Sizes.FirstOrDefault(size => trimmed.EndsWith(size.Suffix, StringComparison.OrdinalIgnoreCase), ("", 1));
        return Whole(trimmed[..^suffix.Length].TrimEnd(), factor);
    }

    private static double? Real(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number : null;

    private static TimeSpan? Time(string text)
    {
        var trimmed = text.Trim();
        var (suffix, milliseconds) = Times.FirstOrDefault(unit => trimmed.EndsWith(unit.Suffix, StringComparison.OrdinalIgnoreCase), ("", 0));
        if (suffix.Length > 0 && Real(trimmed[..^suffix.Length]) is double number && Math.Abs(number * milliseconds) < TimeSpan.MaxValue.TotalMilliseconds)
        {
            return TimeSpan.FromMilliseconds(number * milliseconds);
        }

        // A bare number would be days: too easily meant as seconds.
        return trimmed.Contains(':', StringComparison.Ordinal) && TimeSpan.TryParse(trimmed, CultureInfo.InvariantCulture, out var time) ? time : null;
    }

    private static object? Name(Type type, string text) =>
        !int.TryParse(text, out _) && Enum.TryParse(type, text, ignoreCase: true, out var value) ? value : null;

    private static string FormatTime(TimeSpan time) =>
        time < TimeSpan.FromSeconds(1) && time > TimeSpan.Zero
            ? time.TotalMilliseconds.ToString(CultureInfo.InvariantCulture) + "ms"
            : time.TotalSeconds.ToString(CultureInfo.InvariantCulture) + "s";
}
