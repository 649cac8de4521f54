namespace KvMesh.Codecs.Blocks;

/// <summary>Names a kind of coding in encoded blocks. Append only: numbers are on disks. Zero is never used.</summary>
public enum CodecId : ushort
{
    /// <summary>As it was.</summary>
    Raw = 1,

    /// <summary>8-bit floats, E4M3 or E5M2, with a scale per row or none.</summary>
    Fp8 = 2,

    /// <summary>Uniform integers of 2 to 8 bits in groups, per token or per channel.</summary>
    UniformGroups = 3,

    /// <summary>Keys per channel, values per token (KIVI).</summary>
    Kivi = 4,

    /// <summary>Non-uniform levels on un-rotated keys with sparse outliers (KVQuant).</summary>
    NonUniform = 5,

    /// <summary>A uniform backbone with a low-rank residual and sparse outliers (GEAR).</summary>
    Gear = 6,

    /// <summary>Uniform groups after a shift and scale per channel.</summary>
    ScaledChannels = 7,

    /// <summary>Uniform groups after a Hadamard rotation.</summary>
    Rotated = 8,

    /// <summary>Levels of a normal distribution after a random rotation (TurboQuant).</summary>
    Turbo = 9,

    /// <summary>Levels per token with entropy coding per channel (CacheGen).</summary>
    CacheGen = 10,

    /// <summary>Exponents entropy coded, everything else as it was.</summary>
    Lossless = 11,

    /// <summary>Transform coding in a stored basis (KVTC).</summary>
    TransformCoding = 12,

    /// <summary>A codec of its own for each layer, keys and values.</summary>
    Mixed = 13,

    /// <summary>Entropy-coded uniform steps per channel (ECQ).</summary>
    EntropyCoded = 14,

    /// <summary>Truncated singular value decomposition of each block.</summary>
    LowRank = 15,

    /// <summary>Projection into a basis that the model's blocks share.</summary>
    SharedProjection = 16,

    /// <summary>Pairs of layers with one direction and two magnitudes (MiniCache).</summary>
    LayerPairs = 17,

    /// <summary>Tokens merged into their neighbours.</summary>
    MergedTokens = 18,

    /// <summary>Entropy-coded uniform steps in layers, of which the first decode without the others.</summary>
    ProgressiveEntropyCoded = 19,

    /// <summary>Bytes of which nothing is known, in planes of theirs; payloads as they are and no tensors. No block of this library's frame has it.</summary>
    Opaque = 20,
}
