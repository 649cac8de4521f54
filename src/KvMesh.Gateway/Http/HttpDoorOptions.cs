namespace KvMesh.Gateway.Http;

/// <summary>What the HTTP door is told by the composition root; see the options of the node for their meaning.</summary>
public sealed record HttpDoorOptions
{
    /// <summary>Largest body of a request: every body here is a few names.</summary>
    public const int MaxBodyBytes = 64 * 1024;

    /// <summary>Live streams open at once: each costs a send of some kilobytes a second.</summary>
    public const int MaxLiveStreams = 64;

    /// <summary>Most blocks on one page of a listing.</summary>
    public const int MaxPageBlocks = 1000;

    public IReadOnlyCollection<string> AllowedHosts { get; init; } = [];

    /// <summary>Most requests a second of one address; 0: no limit.</summary>
    public int MaxRequestsPerSecond { get; init; }
}
