namespace KvMesh.Worker.Model.Text;

/// <summary>
/// How a text is cut into words before byte pairs are merged: the regular expressions that tokenizers of this family carry, scanned by hand, since those
/// of .NET see halves of surrogate pairs where theirs see characters.
/// </summary>
internal sealed record WordPattern
{
    private const string Gpt2Expression = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private const string Llama3Expression =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const string SingleDigitsExpression =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>As written in tokenizer.json.</summary>
    public required string Expression { get; init; }

    /// <summary>GPT-2's own rules; otherwise those of Llama 3 and later.</summary>
    public bool IsGpt2 { get; init; }

    /// <summary>Most digits of a word; 0 for any number.</summary>
    public int MaxDigits { get; init; }

    public static WordPattern Gpt2 { get; } = new() { Expression = Gpt2Expression, IsGpt2 = true };

    public static WordPattern Llama3 { get; } = new() { Expression = Llama3Expression, MaxDigits = 3 };

    /// <summary>As Llama 3, each digit a word.</summary>
    public static WordPattern SingleDigits { get; } = new() { Expression = SingleDigitsExpression, MaxDigits = 1 };

    public static IReadOnlyList<WordPattern> All { get; } = [Gpt2, Llama3, SingleDigits];
}
