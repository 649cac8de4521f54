using KvMesh.Engine.Retention;

namespace KvMesh.Simulation.Retention;

/// <summary>A block of a <see cref="Traces.ChainedTrace"/> in one simulated cache: it comes in and leaves, and may come in again.</summary>
public class SimulatedBlock : LinkedBlock<SimulatedBlock>
{
    internal SimulatedBlock(int number, SimulatedBlock? parent)
        : base(parent) => Number = number;

    /// <summary>Number of the block in its trace.</summary>
    public int Number { get; }

    /// <summary>Whether it is in the cache now.</summary>
    internal bool IsHere { get; set; }

    /// <summary>When the policy was last told that it was used, in the cache's count of tellings.</summary>
    internal int Telling { get; set; }

    /// <summary>The number mixed by the finaliser of SplitMix64: different for different numbers, and evenly spread.</summary>
    public override ulong Fingerprint
    {
        get
        {
            var mixed = ((ulong)Number + 1) * 0x9E3779B97F4A7C15;
            mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
            mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
            return mixed ^ (mixed >> 31);
        }
    }
}
