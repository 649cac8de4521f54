using System.Globalization;

namespace KvMesh.Protocol.Native;

/// <summary>
/// Versions of the native protocol that a program speaks, also between nodes. Two programs talk in the highest that both do; a release keeps the one before its
/// own, so that a fleet can be replaced node by node.
/// </summary>
/// <param name="Lowest">Lowest version, 1 or more.</param>
/// <param name="Highest">Highest version.</param>
public readonly record struct NativeVersions(byte Lowest, byte Highest)
{
    /// <summary>Those of this program.</summary>
    public static NativeVersions Own { get; } = Only(NativeLimits.Version);

    public static NativeVersions Only(byte version) => new(version, version);

    public bool Include(byte version) => Lowest <= version && version <= Highest;

    /// <summary>The highest version that another one speaks too; null: there is none.</summary>
    public byte? AgreeOn(int lowest, int highest) =>
        lowest <= highest && lowest <= Highest && Lowest <= highest ? (byte)Math.Min(Highest, highest) : null;

    /// <summary>Reads <c>1-2</c>, or <c>1</c> for one version.</summary>
    public static bool TryParse(string text, out NativeVersions versions)
    {
        ArgumentNullException.ThrowIfNull(text);
        var parts = text.Split('-');
        versions = default;
        if (parts.Length > 2 || !byte.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var lowest)
            || !byte.TryParse(parts[^1], NumberStyles.None, CultureInfo.InvariantCulture, out var highest) || lowest == 0 || lowest > highest)
        {
            return false;
        }

        versions = new NativeVersions(lowest, highest);
        return true;
    }

    public override string ToString() =>
        Lowest == Highest ? string.Create(CultureInfo.InvariantCulture, $"{Lowest}") : string.Create(CultureInfo.InvariantCulture, $"{Lowest}-{Highest}");
}
