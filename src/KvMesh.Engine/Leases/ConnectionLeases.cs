using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.Leases;

/// <summary>
/// The leases of one connection. Existence leases run by time and outlive it; residence leases (open reads of a client that
/// maps the arena) end with it. Every member may be called from any thread.
/// </summary>
public sealed class ConnectionLeases : IDisposable
{
    private readonly Lock _lock = new();
    private readonly LeaseBudget _budget;
    private readonly TimeProvider _time;
    private readonly TimeSpan _maxResidence;
    private readonly Queue<ExistenceLease> _existence = new();
    private readonly Dictionary<long, ResidenceLease> _residence = [];
    private long _existenceBytes;
    private long _residenceBytes;
    private long _lastId;
    private long _oldestUntil = long.MaxValue;
    private bool _isClosed;

    internal ConnectionLeases(LeaseBudget budget, TimeProvider time, TimeSpan maxResidence)
    {
        _budget = budget;
        _time = time;
        _maxResidence = maxResidence;
        budget.Open(this);
    }

    /// <summary>When the oldest existence lease ends; the largest value when there is none.</summary>
    internal long OldestUntil => Interlocked.Read(ref _oldestUntil);

    /// <summary>
    /// Hands an open read to the connection's client and returns its lease id, or 0 when the residence budget of the connection or of its tenant
    /// is spent, in which case the read is disposed. The lease ends by <see cref="Release"/>, by time, or with the connection.
    /// </summary>
    public long TakeResidence(BlockRead read, TimeSpan duration)
    {
        var until = Now() + (long)Math.Min(duration.TotalMilliseconds, _maxResidence.TotalMilliseconds);
        var bytes = read.HeldBytes;
        lock (_lock)
        {
            if (!_isClosed && _residenceBytes + bytes <= _budget.ConnectionBytes && _budget.TryTakeResidence(bytes))
            {
                _residenceBytes += bytes;
                _residence.Add(++_lastId, new ResidenceLease(read, until));
                read.NoteResidenceLease(until);
                return _lastId;
            }
        }

        _budget.CountRefusal();
        read.Dispose();
        return 0;
    }

    /// <summary>Takes bytes of RAM that stay in place for this connection until <see cref="GiveBack"/>. False: its budget, or its tenant's, is spent.</summary>
    internal bool TryTake(long bytes)
    {
        lock (_lock)
        {
            if (!_isClosed && _residenceBytes + bytes <= _budget.ConnectionBytes && _budget.TryTakeResidence(bytes))
            {
                _residenceBytes += bytes;
                return true;
            }
        }

        _budget.CountRefusal();
        return false;
    }

    internal void GiveBack(long bytes)
    {
        lock (_lock)
        {
            _residenceBytes -= bytes;
        }

        _budget.ReturnResidence(bytes);
    }

    /// <summary>Ends a residence lease. False when it had run out: what the client read after that may be another block's bytes.</summary>
    public bool Release(long leaseId)
    {
        ResidenceLease lease;
        lock (_lock)
        {
            if (!_residence.Remove(leaseId, out lease))
            {
                return false;
            }

            GiveBackNeedsLock(lease);
        }

        lease.Read.Dispose();
        return true;
    }

    /// <summary>Ends the residence leases; existence leases run on.</summary>
    public void Dispose()
    {
        ResidenceLease[] open;
        lock (_lock)
        {
            _isClosed = true;
            open = [.. _residence.Values];
            Array.ForEach(open, GiveBackNeedsLock);
            _residence.Clear();
        }

        foreach (var lease in open)
        {
            lease.Read.Dispose();
        }
    }

    /// <summary>
    /// Promises that a block, and the <paramref name="heldBytes"/> it stands for, stay readable. Returns until when in Unix
    /// milliseconds, or 0 when the budget refuses.
    /// </summary>
    internal long Grant(Block block, long heldBytes, TimeSpan duration)
    {
        var milliseconds = (long)duration.TotalMilliseconds;
        var until = Now() + milliseconds;
        if (Volatile.Read(ref block.LeaseUntil) is var present && present >= until - (milliseconds / 4))
        {
            return present;
        }

        if (heldBytes > _budget.ConnectionBytes || !_budget.TryMakeRoom(heldBytes))
        {
            return 0;
        }

        lock (_lock)
        {
            while (_existenceBytes + heldBytes > _budget.ConnectionBytes)
            {
                YieldOldestNeedsLock();
            }

            _existence.Enqueue(new ExistenceLease(block, heldBytes, until));
            _existenceBytes += heldBytes;
            _budget.Count(heldBytes);
            NoteOldestNeedsLock();
        }

        return Extend(ref block.LeaseUntil, until);
    }

    internal bool YieldOldest()
    {
        lock (_lock)
        {
            return YieldOldestNeedsLock();
        }
    }

    /// <summary>Ends what has run out. False when the connection is closed and nothing of it is left.</summary>
    internal bool Expire(long now)
    {
        List<ResidenceLease> late = [];
        bool isNeeded;
        lock (_lock)
        {
            while (_existence.TryPeek(out var oldest) && oldest.Until <= now)
            {
                DropOldestNeedsLock();
            }

            foreach (var (id, lease) in _residence)
            {
                if (lease.Until <= now)
                {
                    late.Add(lease);
                    _residence.Remove(id);
                    GiveBackNeedsLock(lease);
                }
            }

            NoteOldestNeedsLock();
            isNeeded = !_isClosed || _existence.Count > 0;
        }

        foreach (var lease in late)
        {
            lease.Read.Dispose();
        }

        return isNeeded;
    }

    private void GiveBackNeedsLock(ResidenceLease lease)
    {
        _residenceBytes -= lease.Read.HeldBytes;
        _budget.ReturnResidence(lease.Read.HeldBytes);
    }

    private static long Extend(ref long leaseUntil, long until)
    {
        while (true)
        {
            var present = Volatile.Read(ref leaseUntil);
            if (present >= until || Interlocked.CompareExchange(ref leaseUntil, until, present) == present)
            {
                return Math.Max(present, until);
            }
        }
    }

    private long Now() => _time.GetUtcNow().ToUnixTimeMilliseconds();

    private bool YieldOldestNeedsLock()
    {
        if (!_existence.TryPeek(out var oldest))
        {
            return false;
        }

        // A longer promise of another connection stands.
        Interlocked.CompareExchange(ref oldest.Block.LeaseUntil, 0, oldest.Until);
        if (oldest.Until > Now())
        {
            _budget.CountYield();
        }

        DropOldestNeedsLock();
        return true;
    }

    private void DropOldestNeedsLock()
    {
        var lease = _existence.Dequeue();
        _existenceBytes -= lease.HeldBytes;
        _budget.Count(-lease.HeldBytes);
        NoteOldestNeedsLock();
    }

    private void NoteOldestNeedsLock() =>
        Interlocked.Exchange(ref _oldestUntil, _existence.TryPeek(out var oldest) ? oldest.Until : long.MaxValue);

    private readonly record struct ExistenceLease(Block Block, long HeldBytes, long Until);

    private readonly record struct ResidenceLease(BlockRead Read, long Until);
}
