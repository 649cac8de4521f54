using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Sockets;

/// <summary>
/// The state of one connection of a data-plane protocol. The connection host calls it from one thread at a time and owns the
/// socket, the thread and the catch ladder; the session owns the protocol.
/// </summary>
public interface IConnectionSession : IDisposable
{
    /// <summary>
    /// Serves commands until the peer has been silent for the idle window at a command boundary, with nothing buffered and
    /// nothing owed (<see cref="SessionOutcome.Idle"/>), or the connection is to be closed. After Idle the host calls again once
    /// the socket is readable, maybe from another thread, maybe in another process. The host may end the idle window early, even
    /// with bytes waiting in the kernel, to give the thread to others or to stop.
    /// </summary>
    SessionOutcome Run(IByteChannel channel);
}

/// <summary>Why a session returned.</summary>
public enum SessionOutcome
{
    Idle,
    Close,
}

/// <summary>Makes the sessions of one protocol.</summary>
public interface ISessionFactory
{
    /// <summary>Name of the protocol in metrics, listings and logs: "native" or "resp".</summary>
    string Protocol { get; }

    IConnectionSession Create(ConnectionInfo connection);
}

/// <summary>What a session may know of its connection.</summary>
/// <param name="Id">Unique in this process.</param>
/// <param name="RemoteAddress">Address without port, or "unix" for a Unix socket.</param>
public sealed record ConnectionInfo(long Id, string RemoteAddress, bool IsUnix)
{
    /// <summary>Name that the client gave itself; shown to operators.</summary>
    public string ClientName { get; set; } = "";

    /// <summary>Tenant the connection authenticated as; shown to operators.</summary>
    public string TenantName { get; set; } = "";

    /// <summary>Commands served, counted by the session; shown to operators.</summary>
    public long Commands { get; set; }
}
