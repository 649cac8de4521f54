using System.Globalization;

namespace KvMesh.Cli.Parsing;

/// <summary>Sizes as people write them: 65536, 64KiB, 64k, 1.5GiB. Units are powers of 1,024.</summary>
internal static class ByteSize
{
    public const string Accepted = "a number of bytes, or one with a unit such as 64KiB, 4MiB or 2GiB";

    private static readonly (string Suffix, int Shift)[] Units =
    [
        ("KIB", 10), ("MIB", 20), ("GIB", 30), ("TIB", 40), ("KB", 10), ("MB", 20), ("GB", 30), ("TB", 40),
        ("K", 10), ("M", 20), ("G", 30), ("T", 40), ("B", 0),
    ];

    public static bool TryParse(string text, out long bytes)
    {
        bytes = 0;
        var number = text.Trim().ToUpperInvariant();
        var shift = 0;
        foreach (var unit in Units)
        {
            if (number.EndsWith(unit.Suffix, StringComparison.Ordinal))
            {
                (number, shift) = (number[..^unit.Suffix.Length].TrimEnd(), unit.Shift);
                break;
            }
        }

        if (!decimal.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value))
        {
            return false;
        }

        var exact = value * (1L << shift);
        if (exact > long.MaxValue || exact != decimal.Truncate(exact))
        {
            return false;
        }

        bytes = (long)exact;
        return true;
    }
}
