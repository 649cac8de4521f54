using System.CommandLine.Parsing;
using System.Globalization;

namespace KvMesh.Cli.Parsing;

/// <summary>Whole numbers in one option, separated by commas.</summary>
internal static class NumberList
{
    /// <summary>Numbers that one option may name.</summary>
    private const int MaxNumbers = 100;

    /// <param name="result">The option as it was written.</param>
    /// <param name="meaning">What each number is, for the error.</param>
    public static int[] Parse(ArgumentResult result, string meaning, int min, int max)
    {
        var name = ((OptionResult)result.Parent!).Option.Name;
        var parts = result.Tokens[0].Value.Split(',');
        if (parts.Length > MaxNumbers)
        {
            result.AddError($"{name} names {parts.Length} numbers; it may name {MaxNumbers}.");
            return [];
        }

        var numbers = new int[parts.Length];
        for (var index = 0; index < parts.Length; index++)
        {
            if (!int.TryParse(parts[index], NumberStyles.None, CultureInfo.InvariantCulture, out numbers[index]) || numbers[index] < min || numbers[index] > max)
            {
                result.AddError($"{name}: '{parts[index]}' is not {meaning} from {min} to {max}.");
                return [];
            }
        }

        return numbers;
    }
}
