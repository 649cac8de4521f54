using KvMesh.Client.Operations;
using KvMesh.Client.SharedMemory;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client.Connections;

/// <summary>The connections of one client. Work goes to the one with the least under way.</summary>
internal sealed class ConnectionPool : IAsyncDisposable
{
    /// <summary>One attempt on what is open, and one on what is opened because that was lost.</summary>
    private const int Attempts = 2;

    private readonly ConnectionSlot[] _slots;
    private readonly ArenaCache _arenas = new();
    private readonly NodeDialer _dialer;
    private readonly ClientOptions _options;
    private bool _isDisposed;

    public ConnectionPool(ClientOptions options)
    {
        _options = options;
        _dialer = new NodeDialer(options, _arenas);
        _slots = new ConnectionSlot[options.Connections];
        for (var index = 0; index < _slots.Length; index++)
        {
            _slots[index] = new ConnectionSlot(Dial, options.BlockingCalls, options.Time);
        }
    }

    /// <summary>Opens the first connection.</summary>
    public ValueTask<NodeConnection> ConnectFirstAsync(CancellationToken cancellationToken) => _slots[0].ConnectFirstAsync(cancellationToken);

    /// <summary>Opens a connection for a watcher alone, which waits for answers without a thread of its caller. Null when the node is lost.</summary>
    public async Task<NodeConnection?> DialForWatchAsync(CancellationToken cancellationToken)
    {
        try
        {
            var greeted = await Task.Run(() => _dialer.Dial(cancellationToken), cancellationToken).ConfigureAwait(false);
            return new PipelinedConnection(greeted, _options.Time, _options.RequestTimeout);
        }
        catch (Exception error) when (error is ChannelException or KvMeshConnectException)
        {
            return null;
        }
    }

    /// <summary>Borrows the connection with the least under way. Its Connection is null while the node cannot be reached.</summary>
    /// <param name="staging">A staging file whose connection is borrowed as long as it lives, however much is under way there; null: any.</param>
    public async ValueTask<Borrowed> BorrowAsync(StagingArea? staging, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, typeof(KvMeshClient));
        var slot = PickStaging(staging) ?? Pick();
        try
        {
            return new Borrowed(slot, await slot.ConnectAsync(cancellationToken).ConfigureAwait(false));
        }
        catch
        {
            slot.Leave();
            throw;
        }
    }

    /// <summary>Rents a part of some connection's staging file. Null when none has as much to give.</summary>
    public async ValueTask<StagedMemory?> RentAsync(int bytes, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, typeof(KvMeshClient));
        var start = (uint)Environment.CurrentManagedThreadId;
        for (var index = 0; index < _slots.Length; index++)
        {
            var slot = _slots[(start + index) % _slots.Length];
            var connection = await slot.ConnectAsync(cancellationToken).ConfigureAwait(false);
            if (connection?.Staging is { } staging && staging.TryRent(bytes, out var offset))
            {
                return new StagedMemory(staging, offset, bytes);
            }
        }

        return null;
    }

    /// <summary>Runs an operation, on another connection if one is lost under it. Returns the connection that ran it; null when the node was lost.</summary>
    public ValueTask<NodeConnection?> RunAsync(Operation operation, CancellationToken cancellationToken) => RunAsync(operation, null, cancellationToken);

    /// <summary>As <see cref="RunAsync(Operation, CancellationToken)"/>, first on the connection of <paramref name="staging"/>.</summary>
    public async ValueTask<NodeConnection?> RunAsync(Operation operation, StagingArea? staging, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            using var borrowed = await BorrowAsync(staging, cancellationToken).ConfigureAwait(false);
            if (borrowed.Connection is not { } connection)
            {
                return null;
            }

            await connection.ExecuteAsync(operation, cancellationToken).ConfigureAwait(false);
            if (operation.Outcome != OperationOutcome.Lost)
            {
                return connection;
            }
        }

        return null;
    }

    public async ValueTask DisposeAsync()
    {
        _isDisposed = true;
        foreach (var slot in _slots)
        {
            await slot.DisposeAsync().ConfigureAwait(false);
        }

        _arenas.Dispose();
    }

    private NodeConnection Dial(CancellationToken cancellationToken)
    {
        var greeted = _dialer.Dial(cancellationToken);
        return _options.BlockingCalls
            ? new BlockingConnection(greeted, _options.Time, _options.RequestTimeout)
            : new PipelinedConnection(greeted, _options.Time, _options.RequestTimeout);
    }

    private ConnectionSlot? PickStaging(StagingArea? staging)
    {
        var slot = staging is null ? null : Array.Find(_slots, slot => slot.Stages(staging));
        slot?.Enter();
        return slot;
    }

    private ConnectionSlot Pick()
    {
        var start = Environment.CurrentManagedThreadId;
        for (var users = 0; users < 1024; users++)
        {
            for (var offset = 0; offset < _slots.Length; offset++)
            {
                var slot = _slots[(uint)(start + offset) % _slots.Length];
                if (slot.TryEnter(users))
                {
                    return slot;
                }
            }
        }

        _slots[0].Enter();
        return _slots[0];
    }
}

/// <summary>A connection that is used by somebody; dispose it when done.</summary>
internal readonly struct Borrowed(ConnectionSlot slot, NodeConnection? connection) : IDisposable
{
    public NodeConnection? Connection => connection;

    public void Dispose() => slot.Leave();
}
