using KvMesh.Codecs.Layouts;

namespace KvMesh.Server.Coding;

/// <summary>Of which layout a block is a part, and which: everything but its tokens, which its length tells.</summary>
internal readonly record struct BlockPart(LayoutEntry Entry, KvElement Element, BlockOrder Order)
{
    public int FirstLayer { get; init; }

    /// <summary>Layers of the part; 0: all.</summary>
    public int LayerCount { get; init; }

    public int Rank { get; init; }

    /// <summary>Tensor-parallel ranks; 0 and 1: the part has all heads.</summary>
    public int Ranks { get; init; }
}
