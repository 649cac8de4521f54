using System.Collections.Concurrent;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Remote.Peers.Feed;

/// <summary>One other node as a directory: the connections to it that nobody uses, one that is being made, and when it failed. Any thread.</summary>
internal sealed class DirectoryNode : IDisposable
{
    /// <summary>Connections that are kept while nobody uses them.</summary>
    private const int MaxIdle = 8;

    private static readonly TimeSpan Penalty = TimeSpan.FromSeconds(1);

    private readonly ConcurrentBag<LocateConnection> _idle = [];
    private readonly PeerAddresses? _addresses;
    private readonly PeerGreeting _greeting;
    private readonly TimeProvider _time;
    private LocateConnection? _dialling;
    private int _nextAddress;
    private long _failedAt;
    private volatile bool _isDisposed;

    public DirectoryNode(NodeRecord record, PeerGreeting greeting, TimeProvider time)
    {
        Address = record.NativeAddress;
        _greeting = greeting;
        _time = time;
        _addresses = Peer.EndpointOf(record) is { } endpoint ? new PeerAddresses(endpoint, time) : null;
    }

    public string Address { get; }

    /// <summary>Whether it failed a moment ago: others are asked before it.</summary>
    public bool HasFailed => Volatile.Read(ref _failedAt) is var at and not 0 && _time.GetElapsedTime(at) < Penalty;

    /// <summary>A connection that nobody uses, made or being made.</summary>
    /// <param name="patience">Longest wait for the address behind a name.</param>
    /// <exception cref="ChannelException">Nobody is there.</exception>
    public LocateConnection Take(TimeSpan patience)
    {
        if (_idle.TryTake(out var kept) || (kept = Interlocked.Exchange(ref _dialling, null)) is not null)
        {
            return kept;
        }

        var addresses = _addresses?.Get(patience) ?? throw new ChannelException($"'{Address}' is no address.");
        return new LocateConnection(addresses[(int)((uint)Volatile.Read(ref _nextAddress) % (uint)addresses.Count)], _greeting);
    }

    /// <summary>It answered over this connection, which may serve the next one.</summary>
    public void Keep(LocateConnection connection)
    {
        Volatile.Write(ref _failedAt, 0);
        if (_isDisposed || _idle.Count >= MaxIdle)
        {
            connection.Dispose();
            return;
        }

        _idle.Add(connection);
        if (_isDisposed)
        {
            CloseAll();
        }
    }

    /// <summary>The time was over before this connection was made: it may be by the next time.</summary>
    public void KeepDialling(LocateConnection connection)
    {
        NoteFailure();
        Interlocked.Exchange(ref _dialling, connection)?.Dispose();
        if (_isDisposed)
        {
            CloseAll();
        }
    }

    /// <summary>It did not answer. Where a name has several addresses the next one is tried.</summary>
    public void Fail(LocateConnection? connection)
    {
        NoteFailure();
        if (connection is null or { Socket.IsConnecting: true })
        {
            Interlocked.Increment(ref _nextAddress);
        }

        connection?.Dispose();
    }

    public void Dispose()
    {
        _isDisposed = true;
        CloseAll();
    }

    private void NoteFailure() => Volatile.Write(ref _failedAt, Math.Max(1, _time.GetTimestamp()));

    private void CloseAll()
    {
        while (_idle.TryTake(out var connection))
        {
            connection.Dispose();
        }

        Interlocked.Exchange(ref _dialling, null)?.Dispose();
    }
}
