namespace KvMesh.LoadTest.Quality;

/// <summary>The words of the model in benchmarks/quality/model, a token each, in the order of their numbers.</summary>
internal static class QualityWords
{
    /// <summary>The mark before every text; behind the 256 bytes come two marks, then words.</summary>
    public const int Begin = 256;

    private const int FirstWord = Begin + 2;

    private static readonly string[] KeyHeads = ["ba", "de", "fi", "go", "hu", "ka", "le", "mi"];
    private static readonly string[] KeyTails = ["bor", "dan", "fel", "gim", "hol", "kun", "lar", "mon", "nes", "pir", "rok", "sut", "tav", "ven", "wix", "zad"];

    private static readonly string[] Others =
    [
        " The", " the", " a", " in", " near", " behind", " and", " then", " went", " to", " One", " was", " because", " it", " hungry", " home",
        " pass", " key", " of", " is", " What", " Remember", " ?", " .", " ,", " :", " she", " he", " slept", " all",
    ];

    public static readonly string[] Names = [" Anna", " Ben", " Clara", " David", " Emma", " Felix", " Greta", " Hugo"];
    public static readonly string[] Animals = [" cat", " dog", " horse", " bird", " fox", " sheep", " mouse", " goat"];
    public static readonly string[] Adjectives = [" small", " old", " quiet", " brown", " happy", " tired", " young", " clever"];
    public static readonly string[] Places = [" garden", " house", " river", " forest", " field", " street", " barn", " hill"];
    public static readonly string[] Times = [" morning", " evening", " night", " day"];
    public static readonly string[] Past = [" saw", " followed", " liked", " found", " called", " fed", " watched", " helped"];
    public static readonly string[] Feelings = [" hungry", " tired", " happy"];
    public static readonly string[] Keys = [.. KeyHeads.SelectMany(_ => KeyTails, static (head, tail) => $" {head}{tail}")];
    public static readonly string[] Values = [.. Enumerable.Range(100, 128).Select(static number => $" {number}")];

    private static readonly string[] All = [.. Others, .. Names, .. Animals, .. Adjectives, .. Places, .. Times, .. Past, .. Keys, .. Values];
    private static readonly Dictionary<string, int> Tokens = All.Select(static (word, index) => (word, index)).ToDictionary(pair => pair.word, pair => FirstWord + pair.index);

    /// <summary>Tokens that the model has, rounded up as its matrices are.</summary>
    public static int Vocabulary { get; } = (FirstWord + All.Length + 15) / 16 * 16;

    public static int TokenOf(string word) => Tokens[word];

    public static IEnumerable<int> TokensOf(params ReadOnlySpan<string> words) => words.ToArray().Select(TokenOf);
}
