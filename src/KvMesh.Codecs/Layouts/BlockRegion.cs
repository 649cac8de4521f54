namespace KvMesh.Codecs.Layouts;

/// <summary>Which heads of each layer: all, a range, or what one tensor-parallel rank holds.</summary>
public readonly record struct HeadSelection
{
    private readonly int _first;
    private readonly int _count;
    private readonly int _ranks;

    private HeadSelection(int first, int count, int ranks) => (_first, _count, _ranks) = (first, count, ranks);

    /// <summary>All heads.</summary>
    public static HeadSelection All => default;

    /// <summary>Heads from <paramref name="first"/> on; clipped to what a layer has.</summary>
    public static HeadSelection Range(int first, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        return new HeadSelection(first, count, 0);
    }

    /// <summary>What rank <paramref name="rank"/> of <paramref name="size"/> holds. With more ranks than heads, several hold the same head.</summary>
    public static HeadSelection TensorParallel(int rank, int size)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(size);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)rank, (uint)size, nameof(rank));
        return new HeadSelection(rank, 0, size);
    }

    /// <summary>The heads of one plane. What all heads share is always there as a whole.</summary>
    /// <exception cref="ArgumentException">The plane's heads do not divide among the ranks, nor the ranks among them.</exception>
    public (int First, int Count) Resolve(in PlaneShape plane)
    {
        if (plane.IsShared || this == All)
        {
            return (0, plane.Heads);
        }

        if (_ranks == 0)
        {
            var first = Math.Min(_first, plane.Heads);
            return (first, Math.Min(_count, plane.Heads - first));
        }

        if (_ranks > plane.Heads ? _ranks % plane.Heads != 0 : plane.Heads % _ranks != 0)
        {
            throw new ArgumentException($"{plane.Heads} heads do not divide among {_ranks} tensor-parallel ranks.");
        }

        return _ranks > plane.Heads
            ? (_first / (_ranks / plane.Heads), 1)
            : (_first * (plane.Heads / _ranks), plane.Heads / _ranks);
    }
}

/// <summary>A part of a block: layers (pipeline parallelism), heads (tensor parallelism), tokens.</summary>
/// <param name="FirstLayer">First layer of the part.</param>
/// <param name="LayerCount">Layers of the part.</param>
/// <param name="Heads">Heads of each layer.</param>
/// <param name="FirstToken">First token of the part, counted from the block's first.</param>
/// <param name="TokenCount">Tokens of the part.</param>
public readonly record struct BlockRegion(int FirstLayer, int LayerCount, HeadSelection Heads, int FirstToken, int TokenCount)
{
    /// <summary>A full block of all layers and heads.</summary>
    public static BlockRegion Whole(KvLayout layout) => new(0, layout.Layers.Length, HeadSelection.All, 0, layout.BlockTokens);

    /// <summary>What a tensor-parallel rank holds of a full block.</summary>
    public static BlockRegion Rank(KvLayout layout, int rank, int size) => Whole(layout) with { Heads = HeadSelection.TensorParallel(rank, size) };

    /// <summary>One layer of a full block.</summary>
    public static BlockRegion Layer(KvLayout layout, int layer) => Whole(layout) with { FirstLayer = layer, LayerCount = 1 };

    /// <summary>Whether the part ends where a full block ends: only there a recurrent layer has a state.</summary>
    internal bool HoldsBlockEnd(KvLayout layout) => FirstToken + TokenCount == layout.BlockTokens;

    internal void Validate(KvLayout layout)
    {
        if (FirstLayer < 0 || LayerCount < 1 || FirstLayer > layout.Layers.Length - LayerCount)
        {
            throw new ArgumentException($"layers {FirstLayer} to {(long)FirstLayer + LayerCount} lie outside the {layout.Layers.Length} of the layout.");
        }

        if (FirstToken < 0 || TokenCount < 1 || FirstToken > layout.BlockTokens - TokenCount)
        {
            throw new ArgumentException($"tokens {FirstToken} to {(long)FirstToken + TokenCount} lie outside the {layout.BlockTokens} of a block.");
        }
    }
}
