using KvMesh.Protocol;
using KvMesh.Protocol.Keys;

namespace KvMesh.Simulation.Traces;

/// <summary>One prompt, as the identities of its blocks: equal ids after equal prefixes are equal content.</summary>
/// <param name="TimestampMs">Arrival, in milliseconds from the start of the workload.</param>
/// <param name="BlockIds">All blocks of the prompt in order, a partial one at the end included.</param>
/// <param name="FullBlocks">Blocks that are full, and so may be kept: all, or all but the last.</param>
public sealed record PromptRequest(long TimestampMs, ReadOnlyMemory<ulong> BlockIds, int FullBlocks)
{
    /// <summary>Whose prompt it is; tenants share nothing. Empty: the trace knows no tenants.</summary>
    public string Tenant { get; init; } = "";

    /// <summary>Tokens of the prompt; where nobody said, the least that its blocks can hold.</summary>
    public long InputTokens { get; init; } = ((long)FullBlocks * MooncakeTrace.TokensPerBlock) + (BlockIds.Length > FullBlocks ? 1 : 0);

    /// <summary>Tokens that were generated for it.</summary>
    public long OutputTokens { get; init; }

    /// <summary>Writes the chain hashes of the full blocks, 32 bytes each, into <paramref name="hashes"/>, which is made longer when needed.</summary>
    public ReadOnlyMemory<byte> HashInto(ref byte[] hashes)
    {
        var bytes = FullBlocks * Limits.ChainHashBytes;
        if (hashes.Length < bytes)
        {
            hashes = new byte[Math.Max(bytes, hashes.Length * 2)];
        }

        ReadOnlySpan<byte> previous = ChainHash.Root;
        Span<uint> words = stackalloc uint[2];
        for (var i = 0; i < FullBlocks; i++)
        {
            var id = BlockIds.Span[i];
            (words[0], words[1]) = ((uint)id, (uint)(id >> 32));
            var hash = hashes.AsSpan(i * Limits.ChainHashBytes, Limits.ChainHashBytes);
            ChainHash.Next(previous, words, [], hash);
            previous = hash;
        }

        return hashes.AsMemory(0, bytes);
    }
}
