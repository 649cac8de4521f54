namespace KvMesh.Cluster.Sequences;

/// <summary>What one command may spend of its tenant's quota: what is free, and what a report that it asked for set aside for it alone.</summary>
internal sealed class StepAllowance(QuotaShares quota)
{
    private SequenceUsage _aside;

    public QuotaShares Quota => quota;

    public SequenceUsage Free => quota.Free + _aside;

    /// <summary>Asks the store for as much as a command costs. What it gives stays this command's, whatever others do meanwhile.</summary>
    public async ValueTask<TenantShare> AskAsync(ISequenceStore store, SequenceUsage cost, CancellationToken cancellationToken)
    {
        GiveBack();
        var (share, isSetAside) = await quota.ReportAsync(store, cost, cancellationToken).ConfigureAwait(false);
        _aside = isSetAside ? SequenceUsage.Max(cost, default) : default;
        return share;
    }

    /// <summary>As <see cref="QuotaShares.TrySpend"/>: from then on the caller settles it or gives it back.</summary>
    public bool TrySpend(SequenceUsage cost)
    {
        if (!_aside.IsZero && _aside == SequenceUsage.Max(cost, default))
        {
            _aside = default;
            return true;
        }

        GiveBack();
        return quota.TrySpend(cost);
    }

    /// <summary>Leaves what was set aside to others.</summary>
    public void GiveBack()
    {
        quota.GiveBack(_aside);
        _aside = default;
    }
}
