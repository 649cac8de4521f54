using KvMesh.Client.Operations;
using KvMesh.Client.SharedMemory;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client.Connections;

/// <summary>One greeted connection. It never heals: when it is lost, its slot opens another.</summary>
internal abstract class NodeConnection : IAsyncDisposable
{
    private readonly GreetedSocket _greeted;
    private ulong _lastRequestId;

    protected NodeConnection(GreetedSocket greeted, TimeProvider time, TimeSpan requestTimeout)
    {
        _greeted = greeted;
        Time = time;
        RequestTimeout = requestTimeout;
        Returned = new ReturnedLeases(time, SendReturned);
    }

    public HelloResponse Hello => _greeted.Hello;

    public bool IsUnix => _greeted.Socket.IsUnix;

    /// <summary>The arena, when the node lets this connection read in place.</summary>
    public ArenaView? Arena => _greeted.Arena;

    /// <summary>The file through which this connection writes, when the node gave one.</summary>
    public StagingArea? Staging => _greeted.Staging;

    public abstract bool IsAlive { get; }

    protected StreamSocket Socket => _greeted.Socket;

    protected FrameReceiver Receiver => _greeted.Receiver;

    protected FrameWriter Writer => _greeted.Writer;

    protected TimeSpan RequestTimeout { get; }

    protected TimeProvider Time { get; }

    /// <summary>Leases that the node is still to be told of.</summary>
    protected ReturnedLeases Returned { get; }

    /// <summary>
    /// Runs one operation to its end; its outcome tells the rest. Throws only when <paramref name="cancellationToken"/> is cancelled before the
    /// answer began to arrive.
    /// </summary>
    public abstract ValueTask ExecuteAsync(Operation operation, CancellationToken cancellationToken);

    /// <summary>
    /// Sends a request whose answer is taken by <see cref="FinishAsync"/>, which must follow, or <see cref="Abandon"/>. The request and its answer must fit
    /// into the buffers of a socket, since nobody may be reading meanwhile. False: too much is under way.
    /// </summary>
    public abstract bool TryBegin(Operation operation, CancellationToken cancellationToken);

    /// <summary>Waits for the answer to what was begun, as <see cref="ExecuteAsync"/> does.</summary>
    public abstract ValueTask FinishAsync(Operation operation, CancellationToken cancellationToken);

    /// <summary>Nobody wants the answer to what was begun: leases that it brings go back.</summary>
    public abstract void Abandon(LeaseOperation operation);

    /// <summary>Sends an operation that wants no answer, if the connection lives. Never waits for an answer and never throws.</summary>
    public abstract void Post(Operation operation);

    /// <summary>Gives back the leases of those grants that have one. The generation of the descriptor tells what the bytes were worth: nobody waits.</summary>
    public void GiveBack(ReadOnlySpan<LeaseGrant> grants)
    {
        foreach (var grant in grants)
        {
            if (grant.LeaseId != 0)
            {
                Returned.Add(grant.LeaseId);
            }
        }
    }

    public virtual ValueTask DisposeAsync()
    {
        Returned.Dispose();
        _greeted.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Tells the node of the leases that were given back.</summary>
    /// <param name="mayWait">Whether to wait while another thread sends.</param>
    protected abstract void SendReturned(bool mayWait);

    protected ulong NextRequestId() => ++_lastRequestId;

    /// <summary>Writes a request, and with it the leases that were given back. By whoever sends.</summary>
    protected void Write(Operation operation)
    {
        if (!Returned.IsEmpty && !operation.TryCarry(Returned))
        {
            WriteReturned();
        }

        operation.Write(Writer);
    }

    protected void WriteReturned()
    {
        var leases = Returned.TakeAll();
        if (leases.Length > 0)
        {
            new ReleaseOperation(leases).Write(Writer);
        }
    }

    /// <summary>Ends an operation. What the node leased to a caller that has left goes back.</summary>
    protected void Conclude(Operation operation, OperationOutcome outcome)
    {
        operation.Complete(outcome);
        if (operation is LeaseOperation { IsAbandoned: true } lease)
        {
            GiveBack(lease.Grants);
        }
    }

    /// <summary>Why nothing can follow on this connection.</summary>
    protected static ChannelException Lost(FrameArrival arrival, FrameFault fault) => arrival == FrameArrival.Closed
        ? new ChannelException("The node closed the connection.")
        : new ChannelException($"The node sent no frame of the native protocol: {fault}.");
}
