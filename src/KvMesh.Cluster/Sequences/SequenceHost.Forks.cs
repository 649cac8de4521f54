using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Sequences;

/// <summary>Forks and the reading of rows, which may be shared with a line of origins.</summary>
public sealed partial class SequenceHost
{
    public async ValueTask<SequenceRows> ReadRowsAsync(SequenceId id, int first, int count, CancellationToken cancellationToken)
    {
        if (first < 0 || count is < 1 or > SequenceLimits.MaxPageRows)
        {
            var text = first < 0 ? $"first is {first}; it must be 0 or more." : $"count is {count}; it must be 1 to {SequenceLimits.MaxPageRows}.";
            return new SequenceRows(SequenceRefusal.Invalid, 0, first, default, text);
        }

        var (head, refusal) = await ReadAsync(id, cancellationToken).ConfigureAwait(false);
        if (head is null)
        {
            return new SequenceRows(refusal!.Value.Refusal, 0, first, default, refusal.Value.Text);
        }

        return first >= head.Segments
            ? new SequenceRows(SequenceRefusal.None, head.Segments, first, default, "")
            : await ReadRowsAsync(id, head, first, count, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Opens a sequence that shares the first rows of another: the origin is told to keep them, then the fork is opened.</summary>
    private async ValueTask<SequenceReply> ForkAsync(SequenceId id, ForkSequence fork, CancellationToken cancellationToken)
    {
        if (_options.Rules.Check(fork) is { } fault)
        {
            return SequenceReply.Refuse(SequenceRefusal.Invalid, fault);
        }

        var retain = new RetainFork { RequestId = fork.RequestId, Epoch = fork.Epoch, Blocks = fork.Blocks };
        var retained = await TakeTurnAsync(id, retain, cancellationToken).ConfigureAwait(false);
        if (!retained.IsOk)
        {
            return retained;
        }

        var (parent, refusal) = await ReadAsync(id, cancellationToken).ConfigureAwait(false);
        if (parent is null)
        {
            return refusal!.Value;
        }

        var (open, wrong) = await PrepareForkAsync(id, parent, fork, cancellationToken).ConfigureAwait(false);
        var reply = wrong ?? await TakeTurnAsync(new SequenceId(id.Tenant, fork.Target), open!, cancellationToken).ConfigureAwait(false);
        if (!reply.IsOk && reply.Refusal != SequenceRefusal.Unavailable)
        {
            // An unavailable store may have opened it: the origin then keeps its rows until its own end at the latest.
            var release = new ReleaseFork { RowsId = parent.RowsId, RetainedBy = fork.RequestId };
            await TakeTurnAsync(id, release, cancellationToken).ConfigureAwait(false);
        }

        return reply;
    }

    private async ValueTask<(OpenFork? Open, SequenceReply? Refusal)> PrepareForkAsync(
        SequenceId id, SequenceHead parent, ForkSequence fork, CancellationToken cancellationToken)
    {
        var row = default(SegmentRow);
        var segments = 0;
        if (fork.Blocks > 0)
        {
            var found = await FindRowAsync(id, parent, fork.Blocks - 1, cancellationToken).ConfigureAwait(false);
            if (found.Status != StoreStatus.Ok || found.Rows.IsEmpty)
            {
                return (null, SequenceReply.Refuse(SequenceRefusal.Unavailable, found.Text.Length > 0 ? found.Text : "The rows of the sequence cannot be read."));
            }

            (row, segments) = (found.Rows.Span[0], found.First + 1);
        }

        var expected = fork.Blocks == 0 ? BlockHash.Root : row.EndBlock == fork.Blocks ? row.LastHash : fork.LastHash;
        if (fork.LastHash != expected || (fork.Blocks > 0 && fork.LastHash == BlockHash.Root))
        {
            return (null, SequenceReply.Refuse(SequenceRefusal.WrongBlock, $"lastHash is {fork.LastHash}; block {fork.Blocks} of the sequence is {expected}."));
        }

        var cut = fork.Blocks == 0 ? row : row.CutAt(fork.Blocks, fork.LastHash);
        return (new OpenFork
        {
            RequestId = fork.RequestId,
            Parent = parent,
            Origin = new SequenceOrigin(id.Name, parent.RowsId, segments, fork.Blocks, fork.LastHash, parent.Origin.Depth + 1),
            LastHash = fork.LastHash,
            Tokens = (long)(cut.StartToken + cut.Tokens),
            Bytes = (long)(cut.StartByte + cut.Bytes),
            Holder = fork.Holder,
            LosslessOnly = fork.LosslessOnly,
        }, null);
    }

    /// <summary>One page, of the sequence's own rows or of those of the origin that has them.</summary>
    private async ValueTask<SequenceRows> ReadRowsAsync(SequenceId id, SequenceHead head, int first, int count, CancellationToken cancellationToken)
    {
        var total = head.Segments;
        var (owner, rowsId, own, last, refusal) = await FindOwnerAsync(id, head, first, cancellationToken).ConfigureAwait(false);
        if (refusal is not null)
        {
            return new SequenceRows(SequenceRefusal.Unavailable, total, first, default, refusal);
        }

        var stored = await _store.ReadRowsAsync(owner, rowsId, own, Math.Min(count, last.Segments - first), cancellationToken).ConfigureAwait(false);
        if (stored.Status != StoreStatus.Ok)
        {
            return new SequenceRows(SequenceRefusal.Unavailable, total, first, default, stored.Text);
        }

        var rows = stored.Rows.ToArray();
        if (rows.Length > 0 && first + rows.Length == last.Segments && rows[^1].EndBlock > last.Blocks)
        {
            rows[^1] = rows[^1].CutAt(last.Blocks, last.LastHash);
        }

        return new SequenceRows(SequenceRefusal.None, total, first, rows, "");
    }

    /// <summary>Walks back along the origins to the sequence whose own rows hold a row, and remembers where the nearest fork was cut.</summary>
    private async ValueTask<(SequenceId Owner, ulong RowsId, int Own, SequenceOrigin End, string? Refusal)> FindOwnerAsync(
        SequenceId id, SequenceHead head, int row, CancellationToken cancellationToken)
    {
        var end = EndOf(head);
        while (row < head.Origin.Segments)
        {
            end = head.Origin.Blocks < end.Blocks ? head.Origin : end;
            var (parent, refusal) = await ReadOriginAsync(id.Tenant, head.Origin, cancellationToken).ConfigureAwait(false);
            if (parent is null)
            {
                return (id, 0, 0, end, refusal);
            }

            (id, head) = (id with { Name = head.Origin.Name }, parent);
        }

        return (id, head.RowsId, row - head.Origin.Segments, end, null);
    }

    /// <summary>The row that holds a block, as this sequence sees it, and its index among all rows.</summary>
    private async ValueTask<StoredRows> FindRowAsync(SequenceId id, SequenceHead head, long block, CancellationToken cancellationToken)
    {
        var end = EndOf(head);
        while (block < head.Origin.Blocks)
        {
            end = head.Origin.Blocks < end.Blocks ? head.Origin : end;
            var (parent, refusal) = await ReadOriginAsync(id.Tenant, head.Origin, cancellationToken).ConfigureAwait(false);
            if (parent is null)
            {
                return new StoredRows(StoreStatus.Unavailable, 0, default, refusal!);
            }

            (id, head) = (id with { Name = head.Origin.Name }, parent);
        }

        var found = await _store.FindRowAsync(id, head.RowsId, head.OwnSegments, block, cancellationToken).ConfigureAwait(false);
        return found.Rows.IsEmpty
            ? found
            : found with { First = found.First + head.Origin.Segments, Rows = new[] { found.Rows.Span[0].CutAt(end.Blocks, end.LastHash) } };
    }

    /// <summary>The end of a sequence, in the words of a place where a fork could be.</summary>
    private static SequenceOrigin EndOf(SequenceHead head) => new("", head.RowsId, head.Segments, head.Blocks, head.LastHash, 0);

    private async ValueTask<(SequenceHead? Head, string? Refusal)> ReadOriginAsync(string tenant, SequenceOrigin origin, CancellationToken cancellationToken)
    {
        var stored = await _store.ReadAsync(new SequenceId(tenant, origin.Name), cancellationToken).ConfigureAwait(false);
        return stored switch
        {
            { Status: not StoreStatus.Ok } => (null, stored.Text),
            { Head: null } => (null, $"The origin '{origin.Name}' is gone."),
            { Head: { } head } when head.RowsId != origin.RowsId => (null, $"The origin '{origin.Name}' is gone, and its name belongs to another sequence."),
            _ => (stored.Head, null),
        };
    }

    /// <summary>A fork has ended: its origin need not keep rows for it. When the store cannot be asked, the origin keeps them until its own end.</summary>
    private async ValueTask ReleaseAsync(string tenant, SequenceOrigin origin, CancellationToken cancellationToken) =>
        await TakeTurnAsync(new SequenceId(tenant, origin.Name), new ReleaseFork { RowsId = origin.RowsId }, cancellationToken).ConfigureAwait(false);
}
