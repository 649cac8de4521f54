using System.Diagnostics;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Sockets;

/// <summary>
/// One accepted connection and the channel that its session sees. It is parked (watched by the readiness set), queued (waits
/// for a thread), served (owned by one thread), or closed; the steps between these are atomic, and whoever makes one owns the
/// session and the socket until the next.
/// </summary>
internal sealed class Connection(ConnectionInfo info, ISessionFactory factory, StreamSocket socket, DateTimeOffset openedAt) : IDescriptorChannel
{
    // What this process moves is counted from here on: a connection that comes back from a failed handover keeps its socket.
    private readonly long _receivedAtStart = socket.BytesReceived;
    private readonly long _sentAtStart = socket.BytesSent;
    private int _state;
    private volatile bool _isCondemned;
    private long _turnStartedAt;
    private bool _isFirstOfTurn;
    private long _commandsSeen;

    public ConnectionInfo Info => info;

    public ISessionFactory Factory => factory;

    public StreamSocket Socket => socket;

    public DateTimeOffset OpenedAt => openedAt;

    /// <summary>Made when the peer first speaks, so that silent connections cost nothing.</summary>
    public IConnectionSession? Session { get; private set; }

    /// <summary>State of a session from before a handover, until it is resumed.</summary>
    public byte[]? SavedState { get; set; }

    /// <summary>Bytes moved on this connection before this host had it.</summary>
    public long ReceivedBefore { get; init; }

    public long SentBefore { get; init; }

    /// <summary>Bytes moved by this host.</summary>
    public long ReceivedHere => socket.BytesReceived - _receivedAtStart;

    public long SentHere => socket.BytesSent - _sentAtStart;

    public long ReceivedBytes => ReceivedBefore + ReceivedHere;

    public long SentBytes => SentBefore + SentHere;

    public bool IsBusy => (ConnectionState)Volatile.Read(ref _state) is ConnectionState.Queued or ConnectionState.Served;

    /// <summary>An operator or the stop of the node wants it gone; the thread that serves it next closes it.</summary>
    public bool IsCondemned => _isCondemned;

    /// <summary>When sessions must give their thread back; set by the host that serves this connection.</summary>
    public required TurnRules Turns { get; init; }

    /// <summary>Takes the next step if the connection is still in the state it starts from.</summary>
    public bool TryMove(ConnectionState from, ConnectionState to) => Interlocked.CompareExchange(ref _state, (int)to, (int)from) == (int)from;

    /// <summary>By the thread that owns it.</summary>
    public void MarkClosed() => Volatile.Write(ref _state, (int)ConnectionState.Closed);

    /// <summary>Ends the connection from outside: wakes whoever blocks in it, and a parked one becomes ready.</summary>
    public void Condemn()
    {
        _isCondemned = true;
        socket.Shutdown();
    }

    /// <summary>One turn on the calling thread.</summary>
    public SessionOutcome Serve()
    {
        Debug.Assert(_state == (int)ConnectionState.Served, "only the thread that took it serves a connection");
        _turnStartedAt = Stopwatch.GetTimestamp();
        _isFirstOfTurn = true;
        Session ??= Begin();
        return Session.Run(this);
    }

    /// <inheritdoc/>
    public int Receive(Span<byte> buffer)
    {
        // Requests may follow each other without a pause in between: each has its own time.
        if (info.Commands != _commandsSeen)
        {
            _commandsSeen = info.Commands;
            socket.NoteCommand();
        }

        return socket.Receive(buffer);
    }

    /// <inheritdoc/>
    public int ReceiveOrIdle(Span<byte> buffer)
    {
        if (Turns.MustYield)
        {
            return -1;
        }

        // Every turn receives at least once, or crowded connections would only hand the threads around.
        var isFirst = _isFirstOfTurn;
        _isFirstOfTurn = false;
        if (!Turns.IsCrowded)
        {
            return socket.ReceiveOrIdle(buffer);
        }

        return isFirst || Stopwatch.GetElapsedTime(_turnStartedAt) < TurnRules.Slice ? socket.ReceiveAvailable(buffer) : -1;
    }

    /// <inheritdoc/>
    public void Send(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second = default, ReadOnlySpan<byte> third = default) =>
        socket.Send(first, second, third);

    /// <inheritdoc/>
    public void SendWithDescriptors(ReadOnlySpan<byte> data, ReadOnlySpan<int> descriptors) => socket.SendWithDescriptors(data, descriptors);

    /// <inheritdoc/>
    public int ReceiveWithDescriptors(Span<byte> buffer, Span<int> descriptors, out int count) =>
        socket.ReceiveWithDescriptors(buffer, descriptors, out count);

    /// <inheritdoc/>
    public bool IsOpen() => socket.IsOpen();

    public ConnectionSnapshot Snapshot() => new(
        info.Id, factory.Protocol, info.RemoteAddress, info.TenantName, info.ClientName, openedAt, IsBusy, ReceivedBytes, SentBytes, info.Commands);

    private IConnectionSession Begin()
    {
        if (SavedState is not { } state)
        {
            return factory.Create(info);
        }

        SavedState = null;
        return ((IResumableSessionFactory)factory).Resume(info, state);
    }
}

/// <summary>Who owns a connection. Steps: parked → queued → served → parked or closed; parked → closed.</summary>
internal enum ConnectionState
{
    Parked,
    Queued,
    Served,
    Closed,
}
