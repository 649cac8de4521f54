using System.CommandLine.Parsing;
using System.Globalization;
using KvMesh.Simulation.Retention;

namespace KvMesh.Cli.Parsing;

/// <summary>Tiers in one option, as <c>ram:10000,disk:100000:2,redis:500000:3.9</c>: kind, blocks, and what the codec divides their bytes by.</summary>
internal static class TierList
{
    private const int MaxBlocks = 100_000_000;

    public static TierRoom[] Parse(ArgumentResult result)
    {
        var tiers = new List<TierRoom>();
        foreach (var part in result.Tokens[0].Value.Split(','))
        {
            if (ParseTier(part.Trim(), result.AddError) is not { } tier)
            {
                return [];
            }

            if (tiers.Count == 0 ? tier.Kind != TierKind.Ram : tier.Kind <= tiers[^1].Kind)
            {
                result.AddError($"--tiers: '{part}' is out of its order: ram comes first; disk and redis may follow, each once.");
                return [];
            }

            tiers.Add(tier);
        }

        return [.. tiers];
    }

    private static TierRoom? ParseTier(string text, Action<string> addError)
    {
        var parts = text.Split(':');
        if (parts.Length is < 2 or > 3 || !char.IsAsciiLetter(parts[0].FirstOrDefault()) || !Enum.TryParse<TierKind>(parts[0], ignoreCase: true, out var kind))
        {
            addError($"--tiers: '{text}' is no tier; write ram:BLOCKS, disk:BLOCKS or redis:BLOCKS, and :RATIO where a codec shrinks them.");
            return null;
        }

        if (!int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var blocks) || blocks is < 1 or > MaxBlocks)
        {
            addError($"--tiers: '{parts[1]}' in '{text}' is not a number of blocks from 1 to {MaxBlocks}.");
            return null;
        }

        var ratio = 1.0;
        if (parts.Length == 3 && !(double.TryParse(parts[2], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out ratio) && ratio is >= 1 and <= TierRoom.MaxRatio))
        {
            addError($"--tiers: '{parts[2]}' in '{text}' is not a ratio from 1 to {TierRoom.MaxRatio}.");
            return null;
        }

        return new TierRoom(kind, blocks, ratio);
    }
}
