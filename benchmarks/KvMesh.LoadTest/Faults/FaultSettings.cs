using KvMesh.TestKit;

namespace KvMesh.LoadTest.Faults;

/// <summary>How long faults last and are looked at.</summary>
internal sealed record FaultSettings
{
    /// <summary>For a measurement: faults as long as operators meet them.</summary>
    public static FaultSettings Long { get; } = new()
    {
        Measure = TimeSpan.FromSeconds(5),
        Down = TimeSpan.FromSeconds(10),
        Stopped = TimeSpan.FromSeconds(30),
        RequestTimeout = TimeSpan.FromSeconds(5),
        RecoveryLimit = TimeSpan.FromSeconds(15),
    };

    /// <summary>For continuous integration: each fault long enough to be noticed by everyone, and clients that outwait a busy machine.</summary>
    public static FaultSettings Short { get; } = new()
    {
        Measure = TimeSpan.FromSeconds(0.7),
        Down = TimeSpan.FromSeconds(1.5),
        Stopped = TimeSpan.FromSeconds(5),
        RequestTimeout = TimeSpan.FromSeconds(60),
        RecoveryLimit = Eventually.Patience,
    };

    /// <summary>Time over which the hit ratio before and after a fault is taken.</summary>
    public required TimeSpan Measure { get; init; }

    /// <summary>How long what was killed stays away.</summary>
    public required TimeSpan Down { get; init; }

    /// <summary>How long what is stopped, cut off or full stays so.</summary>
    public required TimeSpan Stopped { get; init; }

    /// <summary>How long a client waits for a node before it asks another one.</summary>
    public required TimeSpan RequestTimeout { get; init; }

    /// <summary>Within this the clients of the hurt nodes must hit as before. Long: what docs/OPERATING.md states. Short: what a machine under any load manages.</summary>
    public required TimeSpan RecoveryLimit { get; init; }
}
