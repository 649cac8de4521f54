using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using KvMesh.Protocol;

namespace KvMesh.Cli.Workload.Routing;

/// <summary>
/// Says which nodes a request shall try, in order. Shared by all engines of a workload. Affinity takes the chain hash of the last of the
/// first blocks, which covers all of them, and ranks the nodes by rendezvous hashing: the order depends on nothing but the request and the
/// addresses, and when a node is lost only its own requests move.
/// </summary>
internal sealed class MeshRouter
{
    private readonly RequestRouting _routing;
    private readonly int _affinityBlocks;
    private readonly byte[][] _nodes;
    private int _next = -1;

    /// <param name="affinityBlocks">Blocks from the first on whose content decides, at least 1. One is too few where all prompts share a system prompt.</param>
    public MeshRouter(RequestRouting routing, IEnumerable<string> addresses, int affinityBlocks)
    {
        _routing = routing;
        _affinityBlocks = affinityBlocks;
        _nodes = [.. addresses.Select(address => SHA256.HashData(Encoding.UTF8.GetBytes(address)))];
    }

    public int Count => _nodes.Length;

    /// <summary>Fills <paramref name="order"/>, <see cref="Count"/> long, with the indexes of the nodes, the one to ask first at the front.</summary>
    /// <param name="hashes">Chain hashes of the request's full blocks; none makes every node as good.</param>
    public void Rank(ReadOnlySpan<byte> hashes, Span<int> order)
    {
        if (_routing == RequestRouting.RoundRobin || hashes.IsEmpty)
        {
            var first = (int)((uint)Interlocked.Increment(ref _next) % (uint)Count);
            for (var i = 0; i < order.Length; i++)
            {
                order[i] = (first + i) % Count;
            }

            return;
        }

        RankByContent(hashes, order);
    }

    private void RankByContent(ReadOnlySpan<byte> hashes, Span<int> order)
    {
        var deciding = Math.Min(_affinityBlocks, hashes.Length / Limits.ChainHashBytes) - 1;
        var prefix = hashes.Slice(deciding * Limits.ChainHashBytes, Limits.ChainHashBytes);
        Span<ulong> ranks = stackalloc ulong[Count];
        Span<byte> pair = stackalloc byte[Limits.ChainHashBytes + SHA256.HashSizeInBytes];
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        prefix.CopyTo(pair);
        for (var i = 0; i < Count; i++)
        {
            _nodes[i].CopyTo(pair[Limits.ChainHashBytes..]);
            SHA256.HashData(pair, digest);
            ranks[i] = BinaryPrimitives.ReadUInt64LittleEndian(digest);
            order[i] = i;
        }

        ranks.Sort(order);
    }
}
