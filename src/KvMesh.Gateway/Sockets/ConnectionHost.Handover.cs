namespace KvMesh.Gateway.Sockets;

/// <summary>Giving listeners and connections to another host, and taking them.</summary>
public sealed partial class ConnectionHost
{
    /// <summary>
    /// Stops accepting and reading, waits up to <paramref name="patience"/> until every connection is at a command boundary, ends
    /// every thread, saves and disposes the sessions, and returns what another host can go on with. Connections that do not
    /// come to a boundary in time and those whose sessions cannot be resumed are closed. Connections that peers open meanwhile
    /// wait in the backlog of the listeners. Blocks; afterwards this host holds nothing and may adopt and start again.
    /// </summary>
    public FrozenConnections Freeze(TimeSpan patience)
    {
        var loops = TakeLoops();
        Array.ForEach(loops, loop => loop.Stop());
        var closedCount = EndTurns(patience);
        var frozen = new List<FrozenConnection>();
        foreach (var connection in _registry.Open.OrderBy(connection => connection.Info.Id))
        {
            if (TrySave(connection, out var state))
            {
                connection.MarkClosed();
                _registry.Remove(connection);
                frozen.Add(new FrozenConnection(
                    connection.Factory.Protocol, connection.Socket, connection.Info, connection.OpenedAt, connection.ReceivedBytes, connection.SentBytes, state));
            }
            else
            {
                closedCount++;
                Close(connection);
            }
        }

        return new FrozenConnections([.. loops.Select(loop => new FrozenListener(loop.Factory.Protocol, loop.Listener))], frozen, closedCount);
    }

    /// <summary>
    /// Takes over listeners and connections, before Start; they are matched with <paramref name="factories"/> by protocol. What
    /// finds no factory, or no place under <see cref="SocketOptions.MaxConnections"/>, is closed and logged.
    /// </summary>
    public void Adopt(FrozenConnections frozen, IReadOnlyList<ISessionFactory> factories)
    {
        foreach (var (protocol, listener) in frozen.Listeners)
        {
            if (FactoryOf(protocol, factories) is { } factory)
            {
                AddLoop(listener, factory);
            }
            else
            {
                Log.NotAdopted(_logger, "listener", protocol);
                listener.Dispose();
            }
        }

        foreach (var connection in frozen.Connections)
        {
            var factory = FactoryOf(connection.Protocol, factories);
            if (factory is null || (connection.State is not null && factory is not IResumableSessionFactory))
            {
                Log.NotAdopted(_logger, "connection", connection.Protocol);
                connection.Socket.Dispose();
            }
            else
            {
                Adopt(connection, factory);
            }
        }
    }

    private static ISessionFactory? FactoryOf(string protocol, IReadOnlyList<ISessionFactory> factories) =>
        factories.FirstOrDefault(factory => factory.Protocol == protocol);

    private void Adopt(FrozenConnection frozen, ISessionFactory factory)
    {
        if (!_registry.TryReserve())
        {
            Interlocked.Increment(ref _registry.Totals(factory.Protocol).Refused);
            frozen.Socket.Dispose();
            return;
        }

        // The next turn resumes the session, when its peer speaks.
        _registry.Add(new Connection(frozen.Info with { Id = _registry.NextId() }, factory, frozen.Socket, frozen.OpenedAt)
        {
            Turns = _turns,
            SavedState = frozen.State,
            ReceivedBefore = frozen.ReceivedBytes,
            SentBefore = frozen.SentBytes,
        });
    }

    /// <summary>True when the connection can go on elsewhere; its session is disposed then.</summary>
    private bool TrySave(Connection connection, out byte[]? state)
    {
        // A connection that has not spoken, here or since an earlier handover, has no session.
        state = connection.SavedState;
        if (connection.IsCondemned || connection.Session is not { } session)
        {
            return !connection.IsCondemned;
        }

        if (session is not IResumableSession resumable || connection.Factory is not IResumableSessionFactory)
        {
            return false;
        }

        try
        {
            state = resumable.SaveState();
            if (state.Length > FrozenConnection.MaxStateBytes)
            {
                return false;
            }

            session.Dispose();
            return true;
        }
        catch (Exception failure)
        {
            // The root for this connection: it is closed, the others go on.
            Log.Failed(_logger, connection.Info.Id, connection.Factory.Protocol, connection.Info.RemoteAddress, failure);
            return false;
        }
    }
}
