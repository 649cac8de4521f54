using System.Collections.Concurrent;

namespace KvMesh.Gateway.Sockets;

/// <summary>All open connections, their number, and what became of the closed ones. Any thread.</summary>
internal sealed class ConnectionRegistry(int maxConnections)
{
    private readonly ConcurrentDictionary<long, Connection> _open = new();
    private readonly ConcurrentDictionary<string, ProtocolTotals> _totals = new(StringComparer.Ordinal);

    // Makes leaving the open ones and being added to the closed ones one step for whoever adds both up.
    private readonly Lock _moving = new();
    private long _lastId;
    private int _count;

    public int Count => Volatile.Read(ref _count);

    public IEnumerable<Connection> Open => _open.Values;

    public long NextId() => Interlocked.Increment(ref _lastId);

    public ProtocolTotals Totals(string protocol) => _totals.GetOrAdd(protocol, static _ => new ProtocolTotals());

    public bool TryGet(long id, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Connection? connection) => _open.TryGetValue(id, out connection);

    /// <summary>Takes one of the places; false when all are taken. A taken place is filled by <see cref="Add"/>.</summary>
    public bool TryReserve()
    {
        if (Interlocked.Increment(ref _count) <= maxConnections)
        {
            return true;
        }

        Interlocked.Decrement(ref _count);
        return false;
    }

    public void Release() => Interlocked.Decrement(ref _count);

    public void Add(Connection connection) => _open[connection.Info.Id] = connection;

    public void Remove(Connection connection)
    {
        lock (_moving)
        {
            if (!_open.TryRemove(connection.Info.Id, out _))
            {
                return;
            }

            var totals = Totals(connection.Factory.Protocol);
            totals.ClosedReceivedBytes += connection.ReceivedHere;
            totals.ClosedSentBytes += connection.SentHere;
        }

        Release();
    }

    public IReadOnlyList<ProtocolFigures> Figures()
    {
        lock (_moving)
        {
            var open = _open.Values.ToLookup(connection => connection.Factory.Protocol, StringComparer.Ordinal);
            return [.. _totals.Select(entry => entry.Value.With(entry.Key, [.. open[entry.Key]]))];
        }
    }
}

/// <summary>Counters of one protocol. Incremented with <see cref="Interlocked"/>, except the bytes of closed connections, which the registry guards.</summary>
internal sealed class ProtocolTotals
{
    public long Accepted;
    public long Refused;
    public long Stalled;
    public long Lost;
    public long Failed;
    public long ClosedReceivedBytes;
    public long ClosedSentBytes;

    public ProtocolFigures With(string protocol, IReadOnlyCollection<Connection> open) => new(
        protocol,
        open.Count,
        Volatile.Read(ref Accepted),
        Volatile.Read(ref Refused),
        Volatile.Read(ref Stalled),
        Volatile.Read(ref Lost),
        Volatile.Read(ref Failed),
        ClosedReceivedBytes + open.Sum(connection => connection.ReceivedHere),
        ClosedSentBytes + open.Sum(connection => connection.SentHere));
}
