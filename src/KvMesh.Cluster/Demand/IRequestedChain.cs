using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Demand;

/// <summary>The chain that a request named. Valid during the call only.</summary>
public interface IRequestedChain
{
    /// <summary>Bytes of a key, on average.</summary>
    int KeyBytes { get; }

    KeyDigest DigestAt(int index);

    /// <summary>A copy of a key, to keep.</summary>
    ReadOnlyMemory<byte> CopyKeyAt(int index);

    /// <summary>Payload bytes of the first blocks of the chain, as far as known; 0 when unknown.</summary>
    long PayloadBytesOf(int blocks);
}

/// <summary>A prefix and how often it was asked for lately.</summary>
/// <param name="Keys">From the first block to the tail.</param>
/// <param name="Bytes">Payload bytes of its blocks; 0 when unknown.</param>
public sealed record WantedPrefix(
    string Tenant, KeyDigest Tail, IReadOnlyList<ReadOnlyMemory<byte>> Keys, long Bytes, double RequestsPerSecond);
