using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Blocks;

/// <summary>
/// What a codec is told of a strip: the rows of one head of one tensor of one layer, a matrix of tokens by channels. A codec that joins
/// heads gets the rows of all heads of a token as one.
/// </summary>
/// <param name="Layout">The layout of the block, with rope and stage of its keys.</param>
/// <param name="Layer">The layer.</param>
/// <param name="Kind">Keys, values or a latent.</param>
/// <param name="Head">The head, counted in the whole model; the first of a joined strip.</param>
/// <param name="Tokens">Rows.</param>
/// <param name="Channels">Elements of a row.</param>
/// <param name="Element">How they are stored.</param>
/// <param name="FirstPosition">Position in the sequence of the first row.</param>
public readonly record struct StripShape(
    KvLayout Layout, int Layer, PlaneKind Kind, int Head, int Tokens, int Channels, KvElement Element, long FirstPosition)
{
    /// <summary>Whether rows are not those of consecutive positions, because tokens between them were dropped.</summary>
    public bool HasGaps { get; init; }

    public int RowBytes => Channels * Element.Bytes();

    public int Elements => Tokens * Channels;

    /// <summary>Bytes of the strip as it is.</summary>
    public int Bytes => Tokens * RowBytes;
}
