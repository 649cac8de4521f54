namespace KvMesh.Simulation.Retention;

/// <summary>Room in a tier of a simulated node.</summary>
/// <param name="Kind">Which.</param>
/// <param name="Blocks">Blocks that would fit as they are, at least 1.</param>
/// <param name="Ratio">How many blocks of the codec that the tier keeps them in take the room of one, at least 1.</param>
public sealed record TierRoom(TierKind Kind, int Blocks, double Ratio)
{
    public const double MaxRatio = 64;

    /// <summary>Blocks that fit.</summary>
    public int Capacity => (int)Math.Min(int.MaxValue, Blocks * Ratio);
}

/// <summary>Where blocks are kept, from the fastest.</summary>
public enum TierKind
{
    Ram,
    Disk,
    Redis,
}
