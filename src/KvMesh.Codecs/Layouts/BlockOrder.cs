namespace KvMesh.Codecs.Layouts;

/// <summary>
/// In which order the rows of a block lie in memory, outermost first; channels are always innermost. The latent and rotated part of a
/// latent layer lie side by side per token in every order. Append only.
/// </summary>
public enum BlockOrder : byte
{
    /// <summary>[layer][K, V][token][head]: pages of vLLM (NHD), layer after layer.</summary>
    LayerPartTokenHead = 1,

    /// <summary>[layer][K, V][head][token]: pages of vLLM and FlashInfer (HND).</summary>
    LayerPartHeadToken = 2,

    /// <summary>[K, V][layer][token][head]: chunks of LMCache (KV_2LTD, KV_MLA_FMT).</summary>
    PartLayerTokenHead = 3,

    /// <summary>[layer][token][K, V][head]: chunks of LMCache that are stored layer by layer (KV_T2D).</summary>
    LayerTokenPartHead = 4,
}
