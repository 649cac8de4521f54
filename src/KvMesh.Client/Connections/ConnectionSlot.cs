using KvMesh.Client.SharedMemory;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client.Connections;

/// <summary>
/// Holds one connection and opens another when it is lost. While the node does not answer, attempts are spaced out, and whoever asks
/// in between is told at once: a miss now is worth more than a hit after a wait.
/// </summary>
internal sealed class ConnectionSlot(Func<CancellationToken, NodeConnection> dial, bool blocks, TimeProvider time) : IAsyncDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    private readonly SemaphoreSlim _dialing = new(1);
    private NodeConnection? _connection;
    private TimeSpan _pause;
    private long _failedAt;
    private int _users;
    private bool _isDisposed;

    /// <summary>Takes this slot when exactly <paramref name="users"/> others use it.</summary>
    public bool TryEnter(int users) => Interlocked.CompareExchange(ref _users, users + 1, users) == users;

    public void Enter() => Interlocked.Increment(ref _users);

    public void Leave() => Interlocked.Decrement(ref _users);

    /// <summary>Whether this slot's connection lives and writes through <paramref name="staging"/>.</summary>
    public bool Stages(StagingArea staging) => Volatile.Read(ref _connection) is { IsAlive: true } connection && connection.Staging == staging;

    /// <summary>A living connection, or null while the node cannot be reached.</summary>
    public ValueTask<NodeConnection?> ConnectAsync(CancellationToken cancellationToken)
    {
        var connection = Volatile.Read(ref _connection);
        return connection is { IsAlive: true } ? new ValueTask<NodeConnection?>(connection) : ReconnectAsync(cancellationToken);
    }

    /// <summary>As <see cref="ConnectAsync"/>, but tells why it failed: for the first connection of a client.</summary>
    public async ValueTask<NodeConnection> ConnectFirstAsync(CancellationToken cancellationToken)
    {
        var connection = blocks
            ? dial(cancellationToken)
            : await Task.Run(() => dial(cancellationToken), cancellationToken).ConfigureAwait(false);
        Volatile.Write(ref _connection, connection);
        return connection;
    }

    public async ValueTask DisposeAsync()
    {
        await _dialing.WaitAsync().ConfigureAwait(false);
        _isDisposed = true;
        _dialing.Release();
        if (_connection is not null)
        {
            await _connection.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async ValueTask<NodeConnection?> ReconnectAsync(CancellationToken cancellationToken)
    {
        if (IsPausing())
        {
            return null;
        }

        await _dialing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_connection is { IsAlive: true })
            {
                return _connection;
            }

            if (_isDisposed || IsPausing())
            {
                return null;
            }

            if (_connection is not null)
            {
                await _connection.DisposeAsync().ConfigureAwait(false);
            }

            var connection = await ConnectFirstAsync(cancellationToken).ConfigureAwait(false);
            _pause = TimeSpan.Zero;
            return connection;
        }
        catch (Exception error) when (error is ChannelException or KvMeshConnectException)
        {
            _pause = _pause == TimeSpan.Zero ? FirstPause : _pause < LongestPause / 2 ? _pause * 2 : LongestPause;
            Volatile.Write(ref _failedAt, time.GetTimestamp());
            return null;
        }
        finally
        {
            _dialing.Release();
        }
    }

    private bool IsPausing() => _pause > TimeSpan.Zero && time.GetElapsedTime(Volatile.Read(ref _failedAt)) < _pause;
}
