using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Sequences;
using KvMesh.Protocol;
using KvMesh.Protocol.Placement;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>
/// Finds out which blocks a chain consists of. Rows of sequences and reports of nodes name a few of them; nodes that hold them know who follows whom. What
/// was found never changes and is kept, up to a bound. One caller at a time.
/// </summary>
internal sealed class ChainBook(NodeTalk talk, HolderMap holders)
{
    /// <summary>Longest sequence that is looked after; one of 1,000,000 tokens in blocks of 16 has as many.</summary>
    public const int MaxBlocks = 65_536;

    private const int MaxKeptKeys = 1 << 19;

    private readonly Dictionary<(string Tenant, string Tail, int Blocks), (IReadOnlyList<ReadOnlyMemory<byte>> Keys, long Bytes)> _known = [];
    private long _keptKeys;

    /// <summary>The keys of the last blocks up to a tail, and their payload bytes as far as some node knows; null: nobody could say now.</summary>
    /// <param name="asked">A node that may know it where no holder does.</param>
    public async ValueTask<(IReadOnlyList<ReadOnlyMemory<byte>> Keys, long Bytes)?> FindAsync(
        ClusterView view, string tenant, ReadOnlyMemory<byte> tail, int blocks, NodeId? asked, CancellationToken cancellationToken)
    {
        var name = (tenant, Convert.ToHexString(tail.Span), blocks);
        if (_known.TryGetValue(name, out var known))
        {
            return known;
        }

        (IReadOnlyList<ReadOnlyMemory<byte>> Keys, long Bytes) best = ([], 0);
        var nodes = holders.HoldersOf(tenant, tail).Concat(asked is { } id ? [id] : []).Distinct();
        foreach (var node in nodes)
        {
            if (view.Find(node) is { } record && await ChainAsync(record, tenant, tail, blocks, cancellationToken).ConfigureAwait(false) is { Keys.Count: > 0 } answer
                && answer.Keys[^1].Span.SequenceEqual(tail.Span))
            {
                var bytes = answer.Bytes > 0 ? answer.Bytes / answer.Keys.Count * blocks : best.Bytes;
                best = answer.Keys.Count > best.Keys.Count ? (answer.Keys, bytes) : (best.Keys, Math.Max(best.Bytes, bytes));
                if (best.Keys.Count == blocks && best.Bytes > 0)
                {
                    break;
                }
            }
        }

        if (best.Keys.Count < blocks || best.Bytes == 0)
        {
            return null;
        }

        Keep(name, best);
        return best;
    }

    /// <summary>The chain hashes of the first blocks of a sequence; null: they are not to be had now, and the text says why.</summary>
    public async ValueTask<(BlockHash[]? Hashes, string Why)> ExpandAsync(
        ClusterView view, ISequenceHost sequences, SequenceId id, SequenceInfo info, int blocks, CancellationToken cancellationToken)
    {
        var hashes = new BlockHash?[blocks];
        var isWhole = false;
        for (var row = 0; row < info.Segments && !isWhole;)
        {
            var page = await sequences.ReadRowsAsync(id, row, Math.Min(SequenceLimits.MaxPageRows, info.Segments - row), cancellationToken).ConfigureAwait(false);
            if (page.Refusal != SequenceRefusal.None || page.Rows.IsEmpty)
            {
                return (null, page.Refusal != SequenceRefusal.None ? page.Text : $"Its rows end before row {row} of {info.Segments}.");
            }

            foreach (var segment in page.Rows.ToArray())
            {
                if (segment.EndBlock <= blocks)
                {
                    hashes[segment.EndBlock - 1] = segment.LastHash;
                    hashes[segment.StartBlock] = segment.Blocks == 1 ? segment.LastHash : segment.FirstHash;
                }
            }

            // A segment has a block at least, so that the bound on blocks is one on rows.
            isWhole = page.Rows.Span[^1].EndBlock >= blocks;
            row += page.Rows.Length;
        }

        return await FillAsync(view, id.Tenant, info.Scope, hashes, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Fills what the rows do not name, from the end to the beginning.</summary>
    private async ValueTask<(BlockHash[]? Hashes, string Why)> FillAsync(
        ClusterView view, string tenant, ReadOnlyMemory<byte> scope, BlockHash?[] hashes, CancellationToken cancellationToken)
    {
        for (var at = hashes.Length - 1; at >= 0; at--)
        {
            if (hashes[at] is not null)
            {
                continue;
            }

            if (at + 1 == hashes.Length || hashes[at + 1] is not { } next)
            {
                return (null, "No row names its last block.");
            }

            byte[] tail = [.. scope.Span, .. next.ToArray()];
            var wasFilled = false;
            foreach (var node in holders.HoldersOf(tenant, tail))
            {
                if (view.Find(node) is { } record
                    && await ChainAsync(record, tenant, tail, Math.Min(at + 2, PlacementLimits.MaxRunBlocks), cancellationToken).ConfigureAwait(false) is { } answer
                    && TryTake(answer, scope.Length, hashes, at + 1))
                {
                    wasFilled = true;
                    break;
                }
            }

            if (!wasFilled)
            {
                return (null, $"No node knows which block is before block {at + 1}.");
            }
        }

        return ([.. hashes.Select(hash => hash!.Value)], "");
    }

    /// <summary>Takes an answer whose last key is block <paramref name="last"/>. False: it adds nothing, or says otherwise than a row.</summary>
    private static bool TryTake(ChainAnswer answer, int scopeBytes, BlockHash?[] hashes, int last)
    {
        var taken = 0;
        for (var back = 0; back < answer.Keys.Count && last - back >= 0; back++)
        {
            var key = answer.Keys[answer.Keys.Count - 1 - back].Span;
            if (key.Length != scopeBytes + Limits.ChainHashBytes)
            {
                return taken > 0;
            }

            var hash = new BlockHash(key[scopeBytes..]);
            if (hashes[last - back] is { } named)
            {
                if (named != hash)
                {
                    return taken > 0;
                }
            }
            else
            {
                hashes[last - back] = hash;
                taken++;
            }
        }

        return taken > 0;
    }

    private async ValueTask<ChainAnswer?> ChainAsync(NodeRecord node, string tenant, ReadOnlyMemory<byte> tail, int blocks, CancellationToken cancellationToken)
    {
        var request = new ChainRequest(tenant, tail, Math.Min(blocks, PlacementLimits.MaxRunBlocks));
        var (_, answer, _) = await talk.AskAsync(
            node, own => own.Chain(request), (calls, limit, token) => calls.ChainAsync(node, request, limit, token), cancellationToken).ConfigureAwait(false);
        return answer;
    }

    private void Keep((string, string, int) name, (IReadOnlyList<ReadOnlyMemory<byte>> Keys, long Bytes) chain)
    {
        if (_keptKeys > MaxKeptKeys)
        {
            // What is still wanted is found again, a few a step.
            _known.Clear();
            _keptKeys = 0;
        }

        _known[name] = chain;
        _keptKeys += chain.Keys.Count;
    }
}
