namespace KvMesh.Gateway.Sockets;

/// <summary>One open connection at one moment, for operators.</summary>
/// <param name="RemoteAddress">Address without port, or "unix".</param>
/// <param name="IsBusy">Whether a thread serves it now.</param>
/// <param name="Commands">0 when the protocol does not count them.</param>
public sealed record ConnectionSnapshot(
    long Id,
    string Protocol,
    string RemoteAddress,
    string TenantName,
    string ClientName,
    DateTimeOffset OpenedAt,
    bool IsBusy,
    long ReceivedBytes,
    long SentBytes,
    long Commands);
