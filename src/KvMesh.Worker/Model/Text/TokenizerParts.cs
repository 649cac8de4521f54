namespace KvMesh.Worker.Model.Text;

/// <summary>What a tokenizer.json says.</summary>
internal sealed record TokenizerParts
{
    /// <summary>Tokens in the letters of <see cref="ByteAlphabet"/>, and their numbers.</summary>
    public required Dictionary<string, int> Vocabulary { get; init; }

    public required int[] TokenOfByte { get; init; }

    public required Dictionary<(int Left, int Right), (int Rank, int Token)> Merges { get; init; }

    public required IReadOnlyList<AddedToken> Added { get; init; }

    public required WordPattern Words { get; init; }

    /// <summary>Whether a text that begins without a space gets one.</summary>
    public bool AddsSpace { get; init; }

    /// <summary>Whether a word that is a token is taken without merging.</summary>
    public bool TakesWholeWords { get; init; }

    /// <summary>Tokens before a whole text.</summary>
    public IReadOnlyList<int> Prefix { get; init; } = [];

    /// <summary>Tokens behind it.</summary>
    public IReadOnlyList<int> Suffix { get; init; } = [];
}
