using System.ComponentModel.DataAnnotations;

namespace KvMesh.Remote.Resilience;

/// <summary>When a destination that fails is left alone, and for how long.</summary>
public sealed class BreakerOptions
{
    /// <summary>Failures in a row, within <see cref="Window"/>, that open the breaker.</summary>
    [Range(2, 1000)]
    public int Failures { get; set; } = 2;

    /// <summary>Failures further apart than this do not count together.</summary>
    public TimeSpan Window { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How long nothing is asked after the breaker opens. Every failed probe doubles it.</summary>
    public TimeSpan ShortestBreak { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Longest time between two probes.</summary>
    public TimeSpan LongestBreak { get; set; } = TimeSpan.FromSeconds(8);
}
