using KvMesh.Engine;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Resp.Keys;
using KvMesh.Gateway.Telemetry;

namespace KvMesh.Gateway.Resp;

/// <summary>What all sessions of the door share. Every member may be used from any thread.</summary>
internal sealed class RespServices(
    BlockEngine engine, AccessControl access, RespOptions options, int maxBlockBytes, GatewayMetrics metrics, TimeProvider time)
{
    public BlockEngine Engine { get; } = engine;

    public AccessControl Access { get; } = access;

    public RespOptions Options { get; } = options;

    public int MaxBlockBytes { get; } = maxBlockBytes;

    public TimeProvider Time { get; } = time;

    public DoorMetrics Metrics { get; } = metrics.Door("resp");

    public RespCounters Counters { get; } = new(metrics.Meter);

    public CommandTable Commands { get; } = CommandTable.Default;

    public ContentKeys Keys { get; } = new(options.ContentKeyPatterns);

    public ModelNames Models { get; } = new();

    public OpaqueChains Chains { get; } = new(options.ChainWindow, options.MaxTrackedChains, time);

    public KeyLocks Locks { get; } = new();

    public RespBufferPool Buffers { get; } = new();

    public SessionList Sessions { get; } = new();

    public DateTimeOffset StartedAt { get; } = time.GetUtcNow();

    /// <summary>Whether the node is about to stop: what is written now would not outlive it, so it is dropped and counted.</summary>
    public bool IsDraining { get; set; }

    /// <summary>Ends the connection of that id in the host, if one is attached.</summary>
    public Func<long, bool>? CloseConnection { get; set; }

    public long UnixMilliseconds => Time.GetUtcNow().ToUnixTimeMilliseconds();
}
