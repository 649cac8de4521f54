namespace KvMesh.Protocol.Admin;

/// <summary>One open connection of the data plane.</summary>
/// <param name="Id">Name of the connection in <c>DELETE /api/v1/connections/{id}</c>.</param>
/// <param name="Protocol">"native" or "resp".</param>
/// <param name="RemoteAddress">Address without port, or "unix".</param>
/// <param name="Tenant">Tenant it authenticated as; empty before that.</param>
/// <param name="ClientName">Name the client gave itself; may be empty.</param>
/// <param name="IsBusy">Whether a thread serves it now; an idle connection holds none.</param>
/// <param name="ReceivedBytes">Bytes that came from the client.</param>
/// <param name="Commands">Commands served; 0 when the protocol does not count them.</param>
public sealed record ConnectionStatus(
    long Id, string Protocol, string RemoteAddress, string Tenant, string ClientName, DateTimeOffset OpenedAt, bool IsBusy,
    long ReceivedBytes, long SentBytes, long Commands);
