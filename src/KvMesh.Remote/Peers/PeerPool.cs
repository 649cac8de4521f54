using System.Net;
using KvMesh.Cluster.Membership;
using KvMesh.Engine.FarTiers;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Remote.Peers;

/// <summary>
/// The connections to one node, at most so many, and a bounded number of readers that wait for one. A connection acts for one tenant;
/// an idle one of another tenant gives way. Any thread.
/// </summary>
internal sealed class PeerPool : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<PeerConnection> _idle = [];
    private readonly SemaphoreSlim _turns;
    private readonly SemaphoreSlim _backgroundTurns;
    private readonly NodeRecord _record;
    private readonly PeerAddresses _addresses;
    private readonly PeerContext _context;
    private readonly StreamSocketOptions _socketOptions;
    private int _waiters;
    private int _busy;
    private bool _isDisposed;

    public PeerPool(NodeRecord record, EndPoint endpoint, PeerContext context)
    {
        _record = record;
        _addresses = new PeerAddresses(endpoint, context.Time);
        _context = context;
        _turns = new SemaphoreSlim(context.Options.Connections);
        _backgroundTurns = new SemaphoreSlim(context.Options.Connections / 2);
        _socketOptions = new StreamSocketOptions
        {
            IdleWindow = TimeSpan.Zero,
            StallLimit = context.Options.ConnectTimeout,
            ConnectTimeout = context.Options.ConnectTimeout,
            CongestionControl = context.CongestionControl,
        };
    }

    /// <summary>Connections in use.</summary>
    public int Busy => Volatile.Read(ref _busy);

    /// <summary>Connections, idle ones included.</summary>
    public int Opened
    {
        get
        {
            lock (_lock)
            {
                return _idle.Count + _busy;
            }
        }
    }

    /// <summary>
    /// Borrows a connection, waiting for one no longer than <paramref name="patience"/>; a new one is being made when it is returned. <paramref name="connection"/> is null when none is
    /// free in time or too many wait; what is returned then is true. False: the node cannot be reached.
    /// </summary>
    /// <param name="fresh">Whether to connect anew: what is idle has just turned out to be stale, and is closed.</param>
    public bool TryRent(string tenant, FetchPriority priority, TimeSpan patience, bool fresh, out PeerConnection? connection)
    {
        connection = null;
        if (!TryTakeTurn(priority, patience))
        {
            return true;
        }

        Interlocked.Increment(ref _busy);
        try
        {
            if (fresh)
            {
                CloseIdle();
            }

            connection = TakeIdle(tenant) ?? Open(tenant, patience);
            connection.Priority = priority;
            return true;
        }
        catch (ChannelException)
        {
            return false;
        }
        finally
        {
            if (connection is null)
            {
                EndTurn(priority);
            }
        }
    }

    /// <summary>Gives a connection back. One with an answer under way, or a broken one, is closed.</summary>
    public void Return(PeerConnection connection)
    {
        // Once it lies among the idle ones the next reader may have it, and then it says what that one is.
        var priority = connection.Priority;
        var keeps = false;
        if (connection.IsClean)
        {
            lock (_lock)
            {
                keeps = !_isDisposed && _idle.Count < _context.Options.Connections;
                if (keeps)
                {
                    connection.HasBeenIdle = true;
                    _idle.Add(connection);
                }
            }
        }

        if (!keeps)
        {
            connection.Dispose();
        }

        EndTurn(priority);
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
        }

        CloseIdle();
    }

    private bool TryTakeTurn(FetchPriority priority, TimeSpan patience)
    {
        if (priority == FetchPriority.Foreground)
        {
            return TryWait(_turns, patience);
        }

        if (!_backgroundTurns.Wait(patience))
        {
            return false;
        }

        if (TryWait(_turns, patience))
        {
            return true;
        }

        _backgroundTurns.Release();
        return false;
    }

    private bool TryWait(SemaphoreSlim turns, TimeSpan patience)
    {
        if (turns.Wait(TimeSpan.Zero))
        {
            return true;
        }

        if (Interlocked.Increment(ref _waiters) > _context.Options.MaxWaiters)
        {
            Interlocked.Decrement(ref _waiters);
            return false;
        }

        var isTaken = turns.Wait(patience);
        Interlocked.Decrement(ref _waiters);
        return isTaken;
    }

    private void EndTurn(FetchPriority priority)
    {
        Interlocked.Decrement(ref _busy);
        _turns.Release();
        if (priority == FetchPriority.Background)
        {
            _backgroundTurns.Release();
        }
    }

    /// <summary>The idle connection of that tenant that was used last; an older one of another tenant makes room for a new one.</summary>
    private PeerConnection? TakeIdle(string tenant)
    {
        PeerConnection? taken = null;
        PeerConnection? tooMuch = null;
        lock (_lock)
        {
            var index = _idle.FindLastIndex(connection => connection.Tenant == tenant);
            if (index >= 0)
            {
                taken = _idle[index];
                _idle.RemoveAt(index);
            }
            else if (_idle.Count > 0 && _idle.Count + _busy > _context.Options.Connections)
            {
                tooMuch = _idle[0];
                _idle.RemoveAt(0);
            }
        }

        tooMuch?.Dispose();
        return taken;
    }

    private PeerConnection Open(string tenant, TimeSpan patience) =>
        new(_addresses.Get(patience), _socketOptions, tenant, _context.Credential.GreetingFor(_record), $"peer {_context.Self}");

    private void CloseIdle()
    {
        PeerConnection[] idle;
        lock (_lock)
        {
            idle = [.. _idle];
            _idle.Clear();
        }

        foreach (var connection in idle)
        {
            connection.Dispose();
        }
    }
}
