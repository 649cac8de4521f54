namespace KvMesh.Engine.Leases;

/// <summary>
/// How much of a tier the leases of one tenant may hold, and what they hold: existence leases and residence leases each up to the budget. Above
/// it the oldest existence lease yields; a residence lease is refused, since nobody can take memory away that is being read. An existence lease
/// on a block holds its ancestors, because a parent never leaves before its child.
/// </summary>
internal sealed class LeaseBudget(long tenantBytes, long connectionBytes)
{
    private readonly Lock _lock = new();
    private readonly List<ConnectionLeases> _connections = [];
    private long _heldBytes;
    private long _yielded;
    private long _residenceBytes;
    private long _refused;

    public long ConnectionBytes => connectionBytes;

    public long HeldBytes => Interlocked.Read(ref _heldBytes);

    public long Yielded => Interlocked.Read(ref _yielded);

    /// <summary>Bytes of RAM that readers in place hold.</summary>
    public long ResidenceBytes => Interlocked.Read(ref _residenceBytes);

    /// <summary>Residence leases that a budget refused.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    public void Open(ConnectionLeases connection)
    {
        lock (_lock)
        {
            _connections.Add(connection);
        }
    }

    public void Count(long bytes) => Interlocked.Add(ref _heldBytes, bytes);

    /// <summary>Takes bytes for a residence lease of one of the tenant's connections. False: they are more than is left.</summary>
    public bool TryTakeResidence(long bytes)
    {
        if (Interlocked.Add(ref _residenceBytes, bytes) <= tenantBytes)
        {
            return true;
        }

        ReturnResidence(bytes);
        return false;
    }

    public void ReturnResidence(long bytes) => Interlocked.Add(ref _residenceBytes, -bytes);

    public void CountRefusal() => Interlocked.Increment(ref _refused);

    public void CountYield() => Interlocked.Increment(ref _yielded);

    /// <summary>Whether that much more fits; makes the oldest leases of the tenant yield until it does.</summary>
    public bool TryMakeRoom(long bytes)
    {
        if (bytes > tenantBytes)
        {
            return false;
        }

        while (HeldBytes + bytes > tenantBytes)
        {
            if (Oldest() is not { } connection || !connection.YieldOldest())
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Ends what has run out, and forgets connections that hold nothing any more.</summary>
    public void Expire(long now)
    {
        ConnectionLeases[] connections;
        lock (_lock)
        {
            connections = [.. _connections];
        }

        foreach (var connection in connections)
        {
            if (!connection.Expire(now))
            {
                lock (_lock)
                {
                    _connections.Remove(connection);
                }
            }
        }
    }

    private ConnectionLeases? Oldest()
    {
        lock (_lock)
        {
            return _connections.Where(connection => connection.OldestUntil != long.MaxValue).MinBy(connection => connection.OldestUntil);
        }
    }
}
