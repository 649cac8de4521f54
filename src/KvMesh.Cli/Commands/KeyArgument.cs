using System.CommandLine;
using System.Text;
using KvMesh.Protocol;

namespace KvMesh.Cli.Commands;

/// <summary>A key as written on the command line: text, or bytes as <c>hex:00ff</c>.</summary>
internal static class KeyArgument
{
    private const string HexPrefix = "hex:";

    public static Argument<string> Create() => new("key")
    {
        Description = "Key: text, or bytes as hex:00ff. RESP clients see the same keys.",
    };

    /// <exception cref="CommandException">It is no key.</exception>
    public static byte[] Parse(string text)
    {
        if (text.StartsWith("--", StringComparison.Ordinal))
        {
            throw new CommandException(ExitCode.Usage, $"'{text}' is no option of this command; a key that begins so is written as hex:.");
        }

        var bytes = text.StartsWith(HexPrefix, StringComparison.Ordinal) ? ParseHex(text) : Encoding.UTF8.GetBytes(text);
        return bytes.Length is > 0 and <= Limits.MaxKeyBytes
            ? bytes
            : throw new CommandException(ExitCode.Usage, $"key has {bytes.Length} bytes; it must have 1 to {Limits.MaxKeyBytes}.");
    }

    private static byte[] ParseHex(string text)
    {
        try
        {
            return Convert.FromHexString(text.AsSpan(HexPrefix.Length));
        }
        catch (FormatException e)
        {
            throw new CommandException(ExitCode.Usage, $"key is '{text}'; after hex: there must be pairs of hexadecimal digits.", e);
        }
    }
}
