using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Sockets;

/// <summary>The life of one connection: admitted, dispatched, served, parked or closed.</summary>
public sealed partial class ConnectionHost
{
    /// <summary>On an accept thread.</summary>
    private void Admit(StreamSocket socket, ISessionFactory factory)
    {
        var totals = _registry.Totals(factory.Protocol);
        if (!_registry.TryReserve())
        {
            Interlocked.Increment(ref totals.Refused);
            socket.Dispose();
            if (Interlocked.Exchange(ref _isRefusing, 1) == 0)
            {
                // Once an episode: the counter tells how many.
                Log.Refusing(_logger, _options.MaxConnections);
            }

            return;
        }

        Volatile.Write(ref _isRefusing, 0);
        Interlocked.Increment(ref totals.Accepted);
        var info = new ConnectionInfo(_registry.NextId(), socket.RemoteAddress, socket.IsUnix);
        var connection = new Connection(info, factory, socket, _time.GetUtcNow()) { Turns = _turns };
        _registry.Add(connection);
        try
        {
            // Parked first: a peer that connects and says nothing costs no thread.
            _running!.Parker.Add(connection);
        }
        catch
        {
            _registry.Remove(connection);
            throw;
        }
    }

    /// <summary>On the parker's thread.</summary>
    private void Dispatch(long id)
    {
        if (_registry.TryGet(id, out var connection) && connection.TryMove(ConnectionState.Parked, ConnectionState.Queued))
        {
            _running!.Pool.Enqueue(connection);
        }
    }

    /// <summary>On a worker thread: one turn, and the catch ladder of every connection.</summary>
    private void Serve(Connection connection)
    {
        connection.TryMove(ConnectionState.Queued, ConnectionState.Served);
        var totals = _registry.Totals(connection.Factory.Protocol);
        try
        {
            // A connection that was queued when the host began to stop is still at its boundary: it is not begun again.
            var outcome = connection.IsCondemned ? SessionOutcome.Close : _turns.MustYield ? SessionOutcome.Idle : connection.Serve();
            if (outcome == SessionOutcome.Idle)
            {
                Park(connection);
                return;
            }

            connection.Socket.Finish();
        }
        catch (ChannelException failure) when (failure.Fault == ChannelFault.Stalled)
        {
            Interlocked.Increment(ref totals.Stalled);
            Log.Stalled(_logger, connection.Info.Id, connection.Factory.Protocol, connection.Info.RemoteAddress, failure.Message);
        }
        catch (ChannelException) when (connection.IsCondemned)
        {
            // We cut it off ourselves, and said so where that was decided.
        }
        catch (ChannelException failure)
        {
            Interlocked.Increment(ref totals.Lost);
            Log.Lost(_logger, connection.Info.Id, connection.Factory.Protocol, connection.Info.RemoteAddress, failure.Message);
        }
        catch (Exception failure)
        {
            Interlocked.Increment(ref totals.Failed);
            Log.Failed(_logger, connection.Info.Id, connection.Factory.Protocol, connection.Info.RemoteAddress, failure);
        }

        Close(connection);
    }

    /// <summary>Watches a connection again. After the rearm another thread may serve it: nothing touches it here any more.</summary>
    private void Park(Connection connection)
    {
        connection.TryMove(ConnectionState.Served, ConnectionState.Parked);
        if (!_turns.MustYield)
        {
            _running!.Parker.Rearm(connection);
        }
    }

    /// <summary>By whoever owns it: the thread that served it, or the stop of the host.</summary>
    private void Close(Connection connection)
    {
        connection.MarkClosed();
        _registry.Remove(connection);
        try
        {
            connection.Session?.Dispose();
        }
        catch (Exception failure)
        {
            Log.Failed(_logger, connection.Info.Id, connection.Factory.Protocol, connection.Info.RemoteAddress, failure);
        }

        connection.Socket.Dispose();
    }
}
