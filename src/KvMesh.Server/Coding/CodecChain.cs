using KvMesh.Codecs.Blocks;
using KvMesh.Server.Options;

namespace KvMesh.Server.Coding;

/// <summary>The codecs of some blocks of a tier, from the wanted one to safer ones, and what they may lose. Immutable.</summary>
internal sealed class CodecChain
{
    private CodecChain(IReadOnlyList<KvCodec> codecs, CodecCeilingOptions ceiling)
    {
        Codecs = codecs;
        Ceiling = ceiling;
        IsLossy = codecs.Any(codec => !codec.IsLossless);
    }

    public IReadOnlyList<KvCodec> Codecs { get; }

    public CodecCeilingOptions Ceiling { get; }

    /// <summary>Whether one of them loses something.</summary>
    public bool IsLossy { get; }

    /// <summary>Null: blocks are kept as they are.</summary>
    /// <param name="names">Names that the rules have nothing against.</param>
    public static CodecChain? Of(string names, CodecCeilingOptions ceiling)
    {
        var codecs = NamesOf(names).Where(name => name != CodecRuleOptions.Raw).Select(name => CodecRegistry.Standard.Find(name)!).ToArray();
        return codecs.Length == 0 ? null : new CodecChain(codecs, ceiling);
    }

    public static string[] NamesOf(string names) => names.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    /// <summary>
    /// Whether a loss is too much. Keys and values whose error is no number are not what they were, whatever the ceiling is; of outputs it says that
    /// there are none in the block.
    /// </summary>
    public bool IsTooMuch(in MeasuredError error) =>
        float.IsNaN(error.Keys) || float.IsNaN(error.Values)
        || IsAbove(error.Keys, Ceiling.Keys) || IsAbove(error.Values, Ceiling.Values) || IsAbove(error.Outputs, Ceiling.Outputs);

    private static bool IsAbove(float error, double most) => float.IsPositiveInfinity(error) || (most > 0 && error > most);
}
