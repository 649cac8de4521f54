using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>Writes down what must outlive a term, one write at a time. What a silent store did not take comes with the next write. Any thread.</summary>
internal sealed class TermJournal(IPlacementJournal journal, OrderBook book, SchedulerFigures figures, long token)
{
    private readonly Lock _lock = new();
    private Task<bool> _last = Task.FromResult(true);

    /// <summary>Writes what was not written yet. False: another scheduler is in office, and nothing was written. True: it was, or waits for a store that is silent.</summary>
    public Task<bool> SaveAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return _last = SaveAfterAsync(_last, cancellationToken);
        }
    }

    private async Task<bool> SaveAfterAsync(Task before, CancellationToken cancellationToken)
    {
        // No write runs under the lock, whoever writes.
        await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        try
        {
            while (book.Unsaved(JournalLimits.MaxOrdersPerWrite) is { } changes)
            {
                var change = new JournalChange(changes.Audit, changes.IsPaused, changes.LastId, [.. changes.Orders.Select(DeskViews.Order)], changes.Gone);
                if (!await journal.WriteAsync(token, change, cancellationToken).ConfigureAwait(false))
                {
                    return false;
                }

                book.Saved(changes);
            }
        }
        catch (StoreSilentException)
        {
            figures.NoteUnsaved();
        }

        return true;
    }
}
