namespace KvMesh.Engine.Retention;

/// <summary>
/// Learned reuse hazard: keeps what is most likely to be asked for again soon. Blocks that began in the same turn of their chain and were used as often are of
/// one class; <see cref="ReuseHazard"/> learns for each class the chance of a use by age, from blocks that are here and from blocks that have left. Blocks lie in
/// queues by class and age, and the next victim comes from the queue that is least likely to be used within the horizon. Horizon and hazards are learned and fade;
/// where a shadow of LRU does better, its order counts for a while (<see cref="ShadowGuard"/>).
/// </summary>
/// <remarks>A touch is O(1), amortised over the ages that a block passes; a victim is O(classes × ages).</remarks>
public sealed class HazardPolicy<T>() : QueuedPolicy<T>(queues: ReuseHazard.Cells + 1)
    where T : Retained<T>
{
    /// <summary>Blocks of low interest, which leave first.</summary>
    private const int LowInterest = ReuseHazard.Cells;

    private readonly ReuseHazard _hazard = new();
    private readonly ShadowGuard _guard = new();

    /// <summary>Cells of this order before that place are empty.</summary>
    private int _emptyBefore;
    private int _orderVersion;

    /// <summary>Whether LRU's order counts now, because its shadow did better.</summary>
    public bool FollowsLru => _guard.FollowsLru;

    public override IEnumerable<T> LeastValuableFirst()
    {
        var cells = _hazard.LeastLikelyFirst.ToArray();
        return cells.Prepend(LowInterest).SelectMany(cell => Queue(cell).OldestFirst());
    }

    public override IEnumerable<T> MostValuableFirst()
    {
        var cells = _hazard.LeastLikelyFirst.ToArray();
        return cells.Reverse().Append(LowInterest).SelectMany(cell => Queue(cell).NewestFirst());
    }

    private protected override int StepsPerBlock => 2;

    private protected override void Place(T block, long request, bool lowInterest)
    {
        var parent = block.Parent is { IsRetained: true } retained ? retained : null;
        Advance(request);
        _guard.Note(block.Fingerprint, wasHere: false, Count);
        if (_hazard.TryUse(block.Fingerprint, request, out var turn, out var uses))
        {
            (block.Turn, block.Uses) = (turn, Math.Min(uses + 1, ReuseHazard.MaxUses));
        }
        else
        {
            // Who goes on where a chain ended begins the turn after those that used its end; who goes another way than others did begins one behind it.
            block.Turn = parent is null ? 0 : Math.Min(parent.HasFollowers ? parent.Turn + 1 : parent.Turn + parent.Uses, ReuseHazard.MaxTurn);
            if (parent is not null)
            {
                parent.HasFollowers = true;
            }
        }

        block.HasFollowers = false;
        var cell = _hazard.Start(block.Fingerprint, block.Turn, block.Uses, request);
        if (lowInterest)
        {
            Queue(LowInterest).InsertOldest(block);
        }
        else
        {
            InsertBeforeParent(QueueFor(cell), block, request);
        }
    }

    private protected override void Use(T block)
    {
        Advance(block.LastUse);
        _guard.Note(block.Fingerprint, wasHere: true, Count);
        _hazard.TryUse(block.Fingerprint, block.LastUse, out _, out _);
        block.Uses = Math.Min(block.Uses + 1, ReuseHazard.MaxUses);
        MoveToNewest(block, QueueFor(_hazard.Start(block.Fingerprint, block.Turn, block.Uses, block.LastUse)));
    }

    private protected override T? Candidate()
    {
        if (Queue(LowInterest).Oldest is { } unwanted)
        {
            return unwanted;
        }

        var cells = _hazard.LeastLikelyFirst;
        T? candidate = null;
        for (var rank = FirstRank(); rank < cells.Length; rank++)
        {
            if (Queue(cells[rank]).Oldest is not { } oldest)
            {
                continue;
            }

            if (candidate is null)
            {
                _emptyBefore = rank;
            }

            if (!_guard.FollowsLru)
            {
                return oldest;
            }

            candidate = candidate is null || oldest.LastUse < candidate.LastUse ? oldest : candidate;
        }

        return candidate;
    }

    /// <summary>The queue of a cell, for a block that goes there now.</summary>
    private RetentionQueue<T> QueueFor(int cell)
    {
        _emptyBefore = Math.Min(FirstRank(), _hazard.RankOf(cell));
        return Queue(cell);
    }

    private int FirstRank()
    {
        if (_orderVersion != _hazard.OrderVersion)
        {
            (_orderVersion, _emptyBefore) = (_hazard.OrderVersion, 0);
        }

        return _emptyBefore;
    }

    /// <summary>Blocks that have become older go on to the next queue of their class.</summary>
    private void Advance(long now)
    {
        if (!_hazard.Advance(now))
        {
            return;
        }

        foreach (var cell in _hazard.LeastLikelyFirst)
        {
            var age = cell % ReuseHazard.Ages;
            if (age == ReuseHazard.Ages - 1)
            {
                continue;
            }

            while (Queue(cell).Oldest is { } oldest && now - oldest.LastUse >= ReuseHazard.EndOf(age))
            {
                MoveToNewest(oldest, QueueFor(cell - age + ReuseHazard.AgeOf(now - oldest.LastUse)));
            }
        }
    }
}
