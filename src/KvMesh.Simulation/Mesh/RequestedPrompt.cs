using KvMesh.Cluster.Demand;
using KvMesh.Protocol.Keys;

namespace KvMesh.Simulation.Mesh;

/// <summary>A prompt of the trace as the chain that demand is counted for: its blocks' ids are their keys.</summary>
internal readonly ref struct RequestedPrompt(ReadOnlySpan<ulong> blocks, long blockBytes) : IRequestedChain
{
    private readonly ReadOnlySpan<ulong> _blocks = blocks;

    public int KeyBytes => sizeof(ulong);

    public KeyDigest DigestAt(int index) => new(_blocks[index], 0);

    public ReadOnlyMemory<byte> CopyKeyAt(int index) => BitConverter.GetBytes(_blocks[index]);

    public long PayloadBytesOf(int blocks) => blocks * blockBytes;
}
