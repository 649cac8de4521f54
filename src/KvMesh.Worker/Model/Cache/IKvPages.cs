namespace KvMesh.Worker.Model.Cache;

/// <summary>
/// The keys and values of one sequence, in blocks of <see cref="KvPageFormat.BlockTokens"/> tokens from its first token on. The model writes the rows of
/// the tokens that it computes and reads all before them; who owns the memory fills other rows, as with what it pulled from a node.
/// </summary>
/// <remarks>
/// One forward pass at a time uses the pages. It takes a layer's rows from any of its threads, between <see cref="BeginLayer"/> and
/// <see cref="EndLayer"/>, which it calls once for each layer, in order, from one thread. Spans stay valid until the pass ends.
/// </remarks>
public interface IKvPages
{
    KvPageFormat Format { get; }

    /// <summary>Tokens that the blocks there are have room for.</summary>
    int CapacityTokens { get; }

    /// <summary>The bytes of a block, <see cref="KvPageFormat.BlockBytes"/> long, aligned to at least four.</summary>
    Span<byte> Block(int index);

    /// <summary>
    /// Returns when the rows of a layer can be read for the tokens before those that the pass computes. What it throws ends the pass, which then has
    /// changed nothing but rows of its own tokens.
    /// </summary>
    void BeginLayer(int layer);

    /// <summary>The rows of a layer are written for all tokens of the pass.</summary>
    void EndLayer(int layer);
}
