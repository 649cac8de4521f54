using System.Collections.Concurrent;
using KvMesh.Client.Operations;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client.Connections;

/// <summary>
/// A connection whose callers send and receive on their own threads: no thread is woken on this side, so a small request costs one round
/// trip and nothing else. Of several callers that wait one takes the answers, those of the others before its own included; answers come in
/// the order of the requests.
/// </summary>
internal sealed class BlockingConnection : NodeConnection
{
    /// <summary>Answers that nobody waits for yet, at most: as many small ones certainly fit into the buffers of the socket.</summary>
    private const int MaxBegun = 16;

    // Whoever holds the first one sends, whoever holds the second one receives. A receiver may take the first; a sender never takes the second.
    private readonly Lock _sending = new();
    private readonly Lock _receiving = new();

    // Requests whose answers are due. Filled under the first lock, emptied under the second or when the connection is lost.
    private readonly ConcurrentQueue<Operation> _due = new();
    private volatile bool _isLost;

    public BlockingConnection(GreetedSocket greeted, TimeProvider time, TimeSpan requestTimeout)
        : base(greeted, time, requestTimeout)
    {
    }

    public override bool IsAlive => !_isLost;

    public override ValueTask ExecuteAsync(Operation operation, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using (cancellationToken.UnsafeRegister(static socket => ((StreamSocket)socket!).Shutdown(), Socket))
        {
            Begin(operation);
            Finish(operation);
        }

        ThrowIfCancelled(operation, cancellationToken);
        return ValueTask.CompletedTask;
    }

    public override bool TryBegin(Operation operation, CancellationToken cancellationToken)
    {
        if (_due.Count >= MaxBegun)
        {
            return false;
        }

        Begin(operation);
        return true;
    }

    public override ValueTask FinishAsync(Operation operation, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using (cancellationToken.UnsafeRegister(static socket => ((StreamSocket)socket!).Shutdown(), Socket))
        {
            Finish(operation);
        }

        ThrowIfCancelled(operation, cancellationToken);
        return ValueTask.CompletedTask;
    }

    /// <summary>Nobody else may come for the answer, so it is taken here.</summary>
    public override void Abandon(LeaseOperation operation)
    {
        Finish(operation);
        GiveBack(operation.Grants);
    }

    public override void Post(Operation operation)
    {
        lock (_sending)
        {
            Send_NeedsLock(operation);
        }
    }

    public override ValueTask DisposeAsync()
    {
        // What is still to be told is told by the end of the connection.
        Fail();
        lock (_receiving)
        {
            lock (_sending)
            {
                return base.DisposeAsync();
            }
        }
    }

    /// <summary>The timer's thread never waits for a caller that sends.</summary>
    protected override void SendReturned(bool mayWait)
    {
        if (mayWait)
        {
            _sending.Enter();
        }
        else if (!_sending.TryEnter())
        {
            Returned.SendLater();
            return;
        }

        try
        {
            if (!_isLost)
            {
                WriteReturned();
                Writer.Flush(Socket);
            }
        }
        catch (ChannelException)
        {
            Fail();
        }
        finally
        {
            _sending.Exit();
        }
    }

    private static void ThrowIfCancelled(Operation operation, CancellationToken cancellationToken)
    {
        if (operation.Outcome == OperationOutcome.Lost)
        {
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private void Begin(Operation operation)
    {
        operation.Reset();
        lock (_sending)
        {
            Send_NeedsLock(operation);
        }
    }

    private void Send_NeedsLock(Operation operation)
    {
        if (_isLost)
        {
            Conclude(operation, OperationOutcome.Lost);
            return;
        }

        operation.RequestId = NextRequestId();
        if (operation.WantsReply)
        {
            _due.Enqueue(operation);
        }

        try
        {
            Write(operation);
            operation.SendPayload(Writer, Socket);
        }
        catch (ChannelException)
        {
            Fail();
        }
    }

    /// <summary>Takes answers until that of <paramref name="operation"/> is here.</summary>
    private void Finish(Operation operation)
    {
        lock (_receiving)
        {
            try
            {
                while (operation.Outcome == OperationOutcome.Pending && !_isLost)
                {
                    TakeFrame();
                }
            }
            catch (ChannelException)
            {
                Fail();
            }
        }

        if (operation.Outcome == OperationOutcome.Pending)
        {
            // Lost by another thread, which may still be on its way to say so.
            Fail();
        }
    }

    private void TakeFrame()
    {
        var arrival = Receiver.Next(Socket, out var header, canIdle: false);
        if (arrival != FrameArrival.Frame)
        {
            throw Lost(arrival, Receiver.Fault);
        }

        if (!_due.TryPeek(out var operation) || header.RequestId != operation.RequestId || !header.IsResponse)
        {
            throw new ChannelException($"The node answered request {header.RequestId} when {operation?.RequestId} was due.");
        }

        if (operation.TakeFrame(header, new ResponseReader(Receiver, Socket)))
        {
            _due.TryDequeue(out _);
            Conclude(operation, OperationOutcome.Done);
        }
    }

    /// <summary>Ends the connection: half a request or half an answer may be on the way, so that nothing can follow. Any thread, any number of times.</summary>
    private void Fail()
    {
        _isLost = true;
        Socket.Shutdown();
        lock (_sending)
        {
            while (_due.TryDequeue(out var operation))
            {
                Conclude(operation, OperationOutcome.Lost);
            }
        }
    }
}
