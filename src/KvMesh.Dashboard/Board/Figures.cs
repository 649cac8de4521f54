namespace KvMesh.Dashboard.Board;

/// <summary>A number and its unit as a person reads them.</summary>
public readonly record struct Figure(string Number, string Unit)
{
    public static Figure None { get; } = new("–", "");

    // The narrow no-break space keeps number and unit on one line.
    public override string ToString() => Unit.Length == 0 ? Number : $"{Number}\u202f{Unit}";
}

/// <summary>
/// Figures with three digits that matter. Sizes are binary, as memory is sold; rates are decimal, as links are.
/// </summary>
internal static class Figures
{
    private static readonly string[] ByteUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    private static readonly string[] RateUnits = ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"];
    private static readonly string[] CountUnits = ["", "k", "M", "G", "T"];
    private static readonly string[] TimeUnits = ["µs", "ms", "s"];

    public static Figure Bytes(double bytes) => Scale(bytes, 1024, ByteUnits);

    public static Figure BytesPerSecond(double bytes) => Scale(bytes, 1000, RateUnits);

    /// <summary>Exact up to 9,999.</summary>
    public static Figure Count(double count) =>
        Math.Abs(count) < 10_000 ? new Figure($"{count:#,0}", "") : Scale(count, 1000, CountUnits);

    public static Figure PerSecond(double count)
    {
        var (number, unit) = Scale(count, 1000, CountUnits);
        return new Figure(number, unit + "/s");
    }

    public static Figure Microseconds(double? microseconds) =>
        microseconds is { } value ? Scale(value, 1000, TimeUnits) : Figure.None;

    public static Figure Percent(double? share) => share switch
    {
        null => Figure.None,
        >= 0.9995 or <= 0 => new Figure($"{share * 100:0}", "%"),
        _ => new Figure($"{share * 100:0.0}", "%"),
    };

    /// <summary>Two units at most: "3 d 4 h", "12 min 5 s".</summary>
    public static string Span(TimeSpan span) => span switch
    {
        { TotalDays: >= 1 } => $"{(int)span.TotalDays} d {span.Hours} h",
        { TotalHours: >= 1 } => $"{(int)span.TotalHours} h {span.Minutes} min",
        { TotalMinutes: >= 1 } => $"{(int)span.TotalMinutes} min {span.Seconds} s",
        _ => $"{Math.Max(0, (int)span.TotalSeconds)} s",
    };

    private static Figure Scale(double value, double step, string[] units)
    {
        var unit = 0;

        // 999.5 would read "1000" in its own unit.
        while (Math.Abs(value) >= step - (step / 2000) && unit < units.Length - 1)
        {
            value /= step;
            unit++;
        }

        var isWhole = unit == 0 && value == Math.Floor(value);
        return new Figure(isWhole || Math.Abs(value) >= 99.95 ? $"{value:0}" : Math.Abs(value) >= 9.995 ? $"{value:0.0}" : $"{value:0.00}", units[unit]);
    }
}
