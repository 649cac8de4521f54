using KvMesh.Client.Operations;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client.Connections;

/// <summary>
/// A connection whose callers send and receive on their own threads, one after the other: no thread is woken on this side, so a small
/// request costs one round trip and nothing else.
/// </summary>
internal sealed class BlockingConnection(GreetedSocket greeted, TimeProvider time, TimeSpan requestTimeout)
    : NodeConnection(greeted, time, requestTimeout)
{
    private readonly Lock _turn = new();
    private volatile bool _isLost;

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
        operation.Reset();
        lock (_turn)
        {
            Run_NeedsLock(operation);
        }
    }

    public override ValueTask DisposeAsync()
    {
        _isLost = true;
        Socket.Shutdown();
        lock (_turn)
        {
            return base.DisposeAsync();
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
            while (operation.WantsReply && !TakeFrame(operation))
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
