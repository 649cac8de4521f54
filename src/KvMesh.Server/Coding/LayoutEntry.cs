using System.IO.Enumeration;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Server.Coding;

/// <summary>A layout that this node knows, and whose blocks have it.</summary>
internal sealed class LayoutEntry(string name, KvLayout layout, BlockOrder order)
{
    /// <summary>What rules and operators call it.</summary>
    public string Name => name;

    /// <summary>The layout, in blocks of its full length.</summary>
    public KvLayout Layout => layout;

    /// <summary>Order in memory of blocks whose key does not tell.</summary>
    public BlockOrder Order => order;

    /// <summary>Names of models in keys, with <c>*</c> for any run of characters.</summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>Whole keys that say nothing else, with <c>*</c> for any run of characters.</summary>
    public IReadOnlyList<string> Keys { get; init; } = [];

    /// <summary>Tensor-parallel ranks that share a block with such a key: each has a part of the heads. 1: all are in one.</summary>
    public int Ranks { get; init; } = 1;

    /// <summary>How it was described; null for a built-in one.</summary>
    public string? Text { get; init; }

    public bool NamesModel(string model) => Matches(Models, model);

    public bool NamesKey(string key) => Matches(Keys, key);

    private static bool Matches(IReadOnlyList<string> patterns, string text)
    {
        foreach (var pattern in patterns)
        {
            if (FileSystemName.MatchesSimpleExpression(pattern, text, ignoreCase: true))
            {
                return true;
            }
        }

        return false;
    }
}
