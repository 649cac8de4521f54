using KvMesh.Client.Operations;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client.Connections;

/// <summary>
/// A connection whose callers send and receive on their own threads, one after the other: no thread is woken on this side, so a small
/// request costs one round trip and nothing else. What wants no answer travels with the next request, or a moment later by itself.
/// </summary>
internal sealed class BlockingConnection : NodeConnection
{
    /// <summary>
    /// How long a notice waits for a request to travel with: so long that the timer costs a caller in a loop nothing, and short beside the leases
    /// that it ends.
    /// </summary>
    private static readonly TimeSpan NoticeDelay = TimeSpan.FromMilliseconds(25);

    /// <summary>Notices that wait at most.</summary>
    private const int MaxPendingBytes = 2048;

    private readonly Lock _turn = new();
    private readonly ITimer _noticeTimer;
    private bool _isTimerArmed;
    private volatile bool _isLost;

    public BlockingConnection(GreetedSocket greeted, TimeProvider time, TimeSpan requestTimeout)
        : base(greeted, time, requestTimeout) =>
        _noticeTimer = time.CreateTimer(static connection => ((BlockingConnection)connection!).SendNotices(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    public override bool IsAlive => !_isLost;

    public override ValueTask ExecuteAsync(Operation operation, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        operation.Reset();
        lock (_turn)
        {
            using var cancellation = cancellationToken.UnsafeRegister(static socket => ((StreamSocket)socket!).Shutdown(), Socket);
            Run_NeedsLock(operation);
        }

        if (operation.Outcome == OperationOutcome.Lost)
        {
            cancellationToken.ThrowIfCancellationRequested();
        }

        return ValueTask.CompletedTask;
    }

    public override void Post(Operation operation)
    {
        lock (_turn)
        {
            if (_isLost)
            {
                return;
            }

            operation.RequestId = NextRequestId();
            operation.Write(Writer);
            if (Writer.PendingBytes > MaxPendingBytes)
            {
                TrySend_NeedsLock();
            }
            else if (!_isTimerArmed)
            {
                _isTimerArmed = true;
                _noticeTimer.Change(NoticeDelay, Timeout.InfiniteTimeSpan);
            }
        }
    }

    public override ValueTask DisposeAsync()
    {
        // What is still to be told is told by the end of the connection.
        _isLost = true;
        Socket.Shutdown();
        lock (_turn)
        {
            _noticeTimer.Dispose();
            return base.DisposeAsync();
        }
    }

    /// <summary>On the timer's thread, which never waits for a caller's turn: that caller sends the notices, or the next tick does.</summary>
    private void SendNotices()
    {
        if (!_turn.TryEnter())
        {
            _noticeTimer.Change(NoticeDelay, Timeout.InfiniteTimeSpan);
            return;
        }

        try
        {
            _isTimerArmed = false;
            TrySend_NeedsLock();
        }
        finally
        {
            _turn.Exit();
        }
    }

    private void TrySend_NeedsLock()
    {
        if (_isLost)
        {
            return;
        }

        try
        {
            Writer.Flush(Socket);
        }
        catch (ChannelException)
        {
            _isLost = true;
            Socket.Shutdown();
        }
    }

    private void Run_NeedsLock(Operation operation)
    {
        if (_isLost)
        {
            operation.Complete(OperationOutcome.Lost);
            return;
        }

        try
        {
            operation.RequestId = NextRequestId();
            operation.Write(Writer);
            operation.SendPayload(Writer, Socket);
            while (!TakeFrame(operation))
            {
            }

            operation.Complete(OperationOutcome.Done);
        }
        catch (ChannelException)
        {
            // Half a request or half an answer may be on the way: nothing can follow it.
            _isLost = true;
            Socket.Shutdown();
            operation.Complete(OperationOutcome.Lost);
        }
    }

    private bool TakeFrame(Operation operation)
    {
        var arrival = Receiver.Next(Socket, out var header, canIdle: false);
        if (arrival != FrameArrival.Frame)
        {
            throw Lost(arrival, Receiver.Fault);
        }

        if (header.RequestId != operation.RequestId || !header.IsResponse)
        {
            throw new ChannelException($"The node answered request {header.RequestId} when {operation.RequestId} was due.");
        }

        return operation.TakeFrame(header, new ResponseReader(Receiver, Socket));
    }
}
