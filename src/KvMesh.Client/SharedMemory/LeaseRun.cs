using KvMesh.Client.Connections;
using KvMesh.Client.Operations;

namespace KvMesh.Client.SharedMemory;

/// <summary>
/// Leases blocks in order, a batch at a time. While one batch is in use the next is asked for already, so that a reader waits for the node
/// once, not once a batch. All leases are of one connection, which counts as used meanwhile. One caller at a time; dispose it at the end.
/// </summary>
internal sealed class LeaseRun(ConnectionPool pool, KeySelection keys, int likelyBytes, TimeProvider time) : IAsyncDisposable
{
    /// <summary>Bytes leased at once, half of them ahead of the batch in use: enough to hide a round trip, and little of anybody's lease budget.</summary>
    private const int LeasedBytes = 128 * 1024 * 1024;

    /// <summary>Blocks of a batch at most.</summary>
    private const int MaxBlocks = 64;

    /// <summary>Blocks of a batch before their size is known.</summary>
    private const int FirstBlocks = 8;

    /// <summary>One attempt on the connection that is open, and one on another when it was lost.</summary>
    private const int Attempts = 2;

    private Borrowed? _borrowed;
    private LeaseBatch? _current;
    private LeaseBatch? _ahead;

    // First block that no batch in use or before it has.
    private int _next;
    private int _blocks = likelyBytes > 0 ? BlocksOf(likelyBytes) : FirstBlocks;

    // A budget that refused once has no room for two batches.
    private bool _asksAhead = true;

    /// <summary>The next batch, or null behind the last. What was not taken of the one before it comes again.</summary>
    public async ValueTask<LeaseBatch?> NextAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Leave();
        if (_next == keys.Count)
        {
            return null;
        }

        var batch = await TakeAheadAsync(cancellationToken).ConfigureAwait(false) ?? await AskAsync(cancellationToken).ConfigureAwait(false);
        _current = batch;
        _asksAhead &= !batch.IsCurtailed;
        if (_asksAhead && batch.LargestBytes is > 0 and var bytes)
        {
            _blocks = BlocksOf(bytes);
        }

        AskAhead(batch, cancellationToken);
        return batch;
    }

    public ValueTask DisposeAsync()
    {
        Leave();
        DropAhead();
        Return();
        return ValueTask.CompletedTask;
    }

    private static int BlocksOf(int bytes) => Math.Clamp(LeasedBytes / 2 / bytes, 1, MaxBlocks);

    /// <summary>Ends the batch in use.</summary>
    private void Leave()
    {
        if (_current is not { } left)
        {
            return;
        }

        _current = null;
        _next = left.Next;
        left.GiveBackRest();
        if (left.Taken < left.Count)
        {
            // What was asked ahead does not follow, and what is asked now should be used up.
            DropAhead();
            _blocks = Math.Max(1, left.Taken);
        }
    }

    /// <summary>The batch that was asked for ahead, unless there is none or it brought nothing.</summary>
    private async ValueTask<LeaseBatch?> TakeAheadAsync(CancellationToken cancellationToken)
    {
        if (_ahead is not { } ahead)
        {
            return null;
        }

        await ahead.Connection!.FinishAsync(ahead.Lease, cancellationToken).ConfigureAwait(false);
        _ahead = null;
        if (ahead.IsRefused)
        {
            _asksAhead = false;
            ahead.GiveBackRest();
            return null;
        }

        return ahead.Lease.Outcome == OperationOutcome.Lost ? null : ahead;
    }

    private async ValueTask<LeaseBatch> AskAsync(CancellationToken cancellationToken)
    {
        var batch = Batch(_next);
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            if (_borrowed is not { Connection.IsAlive: true })
            {
                Return();
                _borrowed = await pool.BorrowAsync(null, cancellationToken).ConfigureAwait(false);
            }

            if (_borrowed is not { Connection: { } connection })
            {
                break;
            }

            batch.NoteAsked();
            await connection.ExecuteAsync(batch.Lease, cancellationToken).ConfigureAwait(false);
            if (batch.Lease.Outcome != OperationOutcome.Lost)
            {
                batch.Connection = connection;
                break;
            }
        }

        return batch;
    }

    private void AskAhead(LeaseBatch current, CancellationToken cancellationToken)
    {
        var start = _next + current.Count;
        if (_asksAhead && start < keys.Count && current.HasGrants)
        {
            var batch = Batch(start);
            batch.Connection = current.Connection;
            if (batch.Connection!.TryBegin(batch.Lease, cancellationToken))
            {
                _ahead = batch;
            }
        }
    }

    private LeaseBatch Batch(int start)
    {
        var count = Math.Min(_blocks, keys.Count - start);
        return new LeaseBatch(keys.Slice(start, count), start, time);
    }

    private void DropAhead()
    {
        if (_ahead is { } ahead)
        {
            _ahead = null;
            ahead.Connection!.Abandon(ahead.Lease);
        }
    }

    private void Return()
    {
        _borrowed?.Dispose();
        _borrowed = null;
    }
}
