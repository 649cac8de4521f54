using System.ComponentModel.DataAnnotations;

namespace KvMesh.Engine.Coding;

/// <summary>How blocks in RAM are encoded, where a coder says that they are to be. Without a policy nothing of this counts.</summary>
public sealed class HostCodingOptions
{
    /// <summary>
    /// Most processors that encoding takes, in the background and for whoever needs room; beyond it blocks stay as they are, and leave as they are. 0:
    /// nothing is encoded any more; what was is still read.
    /// </summary>
    [Range(0.0, 1024.0)]
    public double EncodeShare { get; set; } = 0.5;

    /// <summary>Part of an arena in use from which on blocks are encoded in the background; 0: as soon as they are written.</summary>
    [Range(0.0, 1.0)]
    public double EncodeFrom { get; set; } = 0.5;

    /// <summary>
    /// Threads that encode in the background: one for each processor of the share, at most as many as the machine has. Many blocks are done by one each, a
    /// lone large one by all of them, layer by layer.
    /// </summary>
    public int CountThreads() => Math.Clamp((int)Math.Ceiling(EncodeShare), 1, Environment.ProcessorCount);

    /// <summary>Encoders at work at a time, those of threads that need room included; each has memory for its largest block, twice.</summary>
    internal int EffectiveEncoders => CountThreads() + Math.Clamp(Environment.ProcessorCount, 2, 16);
}
