using KvMesh.Protocol;
using KvMesh.Protocol.Native;

namespace KvMesh.Gateway.Native;

/// <summary>What the native door tells its clients, and what it gives them.</summary>
public sealed record NativeOptions
{
    /// <summary>Name of the node.</summary>
    public string NodeId { get; init; } = "";

    /// <summary>Grows with each start of the node.</summary>
    public long Incarnation { get; init; }

    /// <summary>Versions of the protocol that are spoken.</summary>
    public NativeVersions Versions { get; init; } = NativeVersions.Own;

    /// <summary>Where clients of the same machine find the Unix socket; empty: nowhere.</summary>
    public string UnixSocketPath { get; init; } = "";

    /// <summary>Largest payload accepted.</summary>
    public int MaxBlockBytes { get; init; } = Limits.MaxBlockBytes;

    /// <summary>Longest existence lease that is given.</summary>
    public TimeSpan MaxExistenceLease { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Longest residence lease that is given.</summary>
    public TimeSpan MaxResidenceLease { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Most watchers that wait for events at a time: each holds a thread that serves connections. Further ones are refused.</summary>
    public int MaxWatchers { get; init; } = 32;

    /// <summary>Whether clients on the Unix socket may map their tenant's arena and write through staging files.</summary>
    public bool SharedMemory { get; init; } = true;

    /// <summary>Largest staging file of one connection, in bytes; a client that asks for more gets this much. 0: none.</summary>
    public long StagingBytes { get; init; } = Limits.MaxBlockBytes;

    /// <summary>Bytes of all staging files together; a connection that would exceed them gets none and writes over its socket.</summary>
    public long TotalStagingBytes { get; init; } = 1L << 30;
}
