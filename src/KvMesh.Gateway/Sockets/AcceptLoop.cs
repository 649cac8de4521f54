using KvMesh.Protocol.Sockets;
using Microsoft.Extensions.Logging;

namespace KvMesh.Gateway.Sockets;

/// <summary>One listener and the thread that accepts on it.</summary>
internal sealed partial class AcceptLoop(
    StreamListener listener, ISessionFactory factory, StreamSocketOptions options, Action<StreamSocket, ISessionFactory> admit, ILogger logger)
{
    // The kernel keeps connections in the backlog meanwhile.
    private static readonly TimeSpan ExhaustionPause = TimeSpan.FromMilliseconds(100);

    private OwnedThread? _thread;

    public StreamListener Listener => listener;

    public ISessionFactory Factory => factory;

    public void Start() => _thread = OwnedThread.Start($"kvmesh-accept-{factory.Protocol}", Accept);

    /// <summary>Returns once the thread has ended. The listener stays open, and so does its backlog.</summary>
    public void Stop()
    {
        if (_thread is not null)
        {
            listener.Interrupt();
            _thread.Join();
            _thread = null;
        }
    }

    private void Accept()
    {
        while (true)
        {
            switch (listener.Accept(options, out var socket))
            {
                case AcceptOutcome.Accepted:
                    Admit(socket!);
                    break;
                case AcceptOutcome.Exhausted:
                    Log.Exhausted(logger, StreamEndpoint.Describe(listener.LocalEndPoint));
                    if (listener.WaitForInterrupt(ExhaustionPause))
                    {
                        return;
                    }

                    break;
                default:
                    return;
            }
        }
    }

    private void Admit(StreamSocket socket)
    {
        try
        {
            admit(socket, factory);
        }
        catch (Exception failure)
        {
            // The root of this loop: one connection is given up, the listener goes on.
            socket.Dispose();
            Log.NotAdmitted(logger, StreamEndpoint.Describe(listener.LocalEndPoint), failure);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(EventId = 1201, Level = LogLevel.Warning, Message = "{Endpoint}: no descriptors or memory left to accept connections; they wait in the backlog")]
        public static partial void Exhausted(ILogger logger, string endpoint);

        [LoggerMessage(EventId = 1202, Level = LogLevel.Error, Message = "{Endpoint}: a new connection could not be admitted")]
        public static partial void NotAdmitted(ILogger logger, string endpoint, Exception failure);
    }
}
