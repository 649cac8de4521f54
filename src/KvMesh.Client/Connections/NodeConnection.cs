using KvMesh.Client.Operations;
using KvMesh.Client.SharedMemory;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client.Connections;

/// <summary>One greeted connection. It never heals: when it is lost, its slot opens another.</summary>
internal abstract class NodeConnection(GreetedSocket greeted, TimeProvider time, TimeSpan requestTimeout) : IAsyncDisposable
{
    private ulong _lastRequestId;

    public HelloResponse Hello => greeted.Hello;

    public bool IsUnix => greeted.Socket.IsUnix;

    /// <summary>The arena, when the node lets this connection read in place.</summary>
    public ArenaView? Arena => greeted.Arena;

    /// <summary>The file through which this connection writes, when the node gave one.</summary>
    public StagingArea? Staging => greeted.Staging;

    public abstract bool IsAlive { get; }

    protected StreamSocket Socket => greeted.Socket;

    protected FrameReceiver Receiver => greeted.Receiver;

    protected FrameWriter Writer => greeted.Writer;

    protected TimeSpan RequestTimeout => requestTimeout;

    protected TimeProvider Time => time;

    /// <summary>
    /// Runs one operation to its end; its outcome tells the rest. Throws only when <paramref name="cancellationToken"/> is cancelled before the
    /// answer began to arrive.
    /// </summary>
    public abstract ValueTask ExecuteAsync(Operation operation, CancellationToken cancellationToken);

    /// <summary>Sends an operation that wants no answer, if the connection lives. Never waits for an answer and never throws.</summary>
    public abstract void Post(Operation operation);

    /// <summary>Gives back the leases of those grants that have one.</summary>
    public void Release(ReadOnlySpan<LeaseGrant> grants)
    {
        var leases = new List<long>(grants.Length);
        foreach (var grant in grants)
        {
            if (grant.LeaseId != 0)
            {
                leases.Add(grant.LeaseId);
            }
        }

        if (leases.Count > 0)
        {
            Post(new ReleaseOperation([.. leases]));
        }
    }

    public virtual ValueTask DisposeAsync()
    {
        greeted.Dispose();
        return ValueTask.CompletedTask;
    }

    protected ulong NextRequestId() => ++_lastRequestId;

    /// <summary>Why nothing can follow on this connection.</summary>
    protected static ChannelException Lost(FrameArrival arrival, FrameFault fault) => arrival == FrameArrival.Closed
        ? new ChannelException("The node closed the connection.")
        : new ChannelException($"The node sent no frame of the native protocol: {fault}.");
}
