namespace KvMesh.Gateway.Sockets;

/// <summary>What the connections of one protocol came to since the process started.</summary>
/// <param name="Open">Connections open now.</param>
/// <param name="Refused">Connections closed at once because there were too many.</param>
/// <param name="Stalled">Connections ended because the peer stopped in the middle of a command.</param>
/// <param name="Lost">Connections that the peer or the network reset.</param>
/// <param name="Failed">Connections ended by an error of ours.</param>
/// <param name="ReceivedBytes">Of open and closed connections.</param>
public sealed record ProtocolFigures(
    string Protocol,
    int Open,
    long Accepted,
    long Refused,
    long Stalled,
    long Lost,
    long Failed,
    long ReceivedBytes,
    long SentBytes);
