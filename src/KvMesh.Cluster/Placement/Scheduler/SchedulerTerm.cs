namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>What a scheduler knows while it is in office. A follower begins with what the journal kept and hears the rest from the nodes.</summary>
internal sealed class SchedulerTerm : IDisposable
{
    private readonly CancellationTokenSource _ended;

    public SchedulerTerm(long token, OrderBook book, TermJournal journal, SessionBook sessions, CancellationToken stopping)
    {
        Token = token;
        Book = book;
        Journal = journal;
        Sessions = sessions;
        _ended = CancellationTokenSource.CreateLinkedTokenSource(stopping);
    }

    /// <summary>The fencing token of every order.</summary>
    public long Token { get; }

    public OrderBook Book { get; }

    /// <summary>Where the book is written down.</summary>
    public TermJournal Journal { get; }

    public SessionBook Sessions { get; }

    /// <summary>Fires when the term is over.</summary>
    public CancellationToken Ended => _ended.Token;

    /// <summary>The input of the last plan, for plans that are only shown.</summary>
    public PlacementInput? LastInput { get; set; }

    /// <summary>The last plan.</summary>
    public PlacementPlan? LastPlan { get; set; }

    /// <summary>When the lease was last known to be this node's.</summary>
    public long HeldAt { get; set; }

    public Task Running { get; set; } = Task.CompletedTask;

    public void End() => _ended.Cancel();

    public void Dispose() => _ended.Dispose();
}
