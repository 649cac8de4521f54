namespace KvMesh.Codecs.Layouts;

/// <summary>What a stored tensor of a layer holds. Append only: stored in encoded blocks.</summary>
public enum PlaneKind : byte
{
    Key = 0,
    Value = 1,

    /// <summary>Latent of multi-head latent attention, from which keys and values are computed.</summary>
    Latent = 2,

    /// <summary>The rotated part beside a latent.</summary>
    LatentRope = 3,

    /// <summary>State of a recurrent layer at the end of the block: bytes, not tokens.</summary>
    State = 4,
}

/// <summary>The shape of one stored tensor of a layer, without where it lies.</summary>
/// <param name="Kind">What it holds.</param>
/// <param name="Heads">Heads of the whole model; 1 for what all heads share.</param>
/// <param name="Channels">Elements of one row: of one head and token, or of the whole state.</param>
/// <param name="Element">How an element is stored.</param>
/// <param name="TailBytes">Bytes behind each row that are not elements, as the scales of an fp8 latent.</param>
public readonly record struct PlaneShape(PlaneKind Kind, int Heads, int Channels, KvElement Element, int TailBytes = 0)
{
    /// <summary>Bytes of one row, with its tail.</summary>
    public int RowBytes => (Channels * Element.Bytes()) + TailBytes;

    /// <summary>Whether there is one row per token. A state has one row per block.</summary>
    public bool IsPerToken => Kind != PlaneKind.State;

    /// <summary>Whether every tensor-parallel rank holds the whole of it.</summary>
    public bool IsShared => Kind is PlaneKind.Latent or PlaneKind.LatentRope or PlaneKind.State;
}
