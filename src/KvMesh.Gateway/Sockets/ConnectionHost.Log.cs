using Microsoft.Extensions.Logging;

namespace KvMesh.Gateway.Sockets;

public sealed partial class ConnectionHost
{
    private static partial class Log
    {
        [LoggerMessage(EventId = 1101, Level = LogLevel.Warning, Message = "Net:MaxConnections = {MaxConnections} is reached; further connections are closed at once")]
        public static partial void Refusing(ILogger logger, int maxConnections);

        [LoggerMessage(EventId = 1102, Level = LogLevel.Information, Message = "Connection {Id} ({Protocol}, {Remote}) stalled and is closed: {Reason}")]
        public static partial void Stalled(ILogger logger, long id, string protocol, string remote, string reason);

        [LoggerMessage(EventId = 1103, Level = LogLevel.Debug, Message = "Connection {Id} ({Protocol}, {Remote}) is lost: {Reason}")]
        public static partial void Lost(ILogger logger, long id, string protocol, string remote, string reason);

        [LoggerMessage(EventId = 1104, Level = LogLevel.Error, Message = "Connection {Id} ({Protocol}, {Remote}) failed and is closed")]
        public static partial void Failed(ILogger logger, long id, string protocol, string remote, Exception failure);

        [LoggerMessage(EventId = 1105, Level = LogLevel.Warning, Message = "{Count} connections did not come to a command boundary within {Seconds} s and are cut off")]
        public static partial void CutOff(ILogger logger, int count, double seconds);

        [LoggerMessage(EventId = 1106, Level = LogLevel.Warning, Message = "A handed-over {What} of protocol {Protocol} has no session factory here and is closed")]
        public static partial void NotAdopted(ILogger logger, string what, string protocol);
    }
}
