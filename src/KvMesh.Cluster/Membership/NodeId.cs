using System.Diagnostics.CodeAnalysis;

namespace KvMesh.Cluster.Membership;

/// <summary>Name of a node in its cluster: 1 to 64 of a–z, 0–9, '.', '-' and '_', beginning with a letter or digit.</summary>
public readonly record struct NodeId
{
    public const int MaxLength = 64;

    private readonly string? _value;

    private NodeId(string value) => _value = value;

    public string Value => _value ?? "";

    /// <summary>Takes a name apart from what is no name. The message of <paramref name="error"/> names the value and the rule.</summary>
    public static bool TryParse(string? text, out NodeId id, [NotNullWhen(false)] out string? error)
    {
        id = default;
        error = text switch
        {
            null or "" => "A node id is empty; it has 1 to 64 characters.",
            { Length: > MaxLength } => $"The node id has {text.Length} characters; at most {MaxLength} are allowed.",
            _ when !char.IsAsciiLetterLower(text[0]) && !char.IsAsciiDigit(text[0]) => $"The node id '{text}' begins with '{text[0]}'; a–z or 0–9 is allowed there.",
            _ when text.Any(letter => !IsAllowed(letter)) =>
                $"The node id '{text}' contains '{text.First(letter => !IsAllowed(letter))}'; a–z, 0–9, '.', '-' and '_' are allowed.",
            _ => null,
        };
        if (error is not null)
        {
            return false;
        }

        id = new NodeId(text!);
        return true;
    }

    /// <exception cref="FormatException">It is no node id; the message says why.</exception>
    public static NodeId Parse(string text) => TryParse(text, out var id, out var error) ? id : throw new FormatException(error);

    public override string ToString() => Value;

    private static bool IsAllowed(char letter) => char.IsAsciiLetterLower(letter) || char.IsAsciiDigit(letter) || letter is '.' or '-' or '_';
}
