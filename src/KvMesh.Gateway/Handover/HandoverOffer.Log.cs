using Microsoft.Extensions.Logging;

namespace KvMesh.Gateway.Handover;

public sealed partial class HandoverOffer
{
    private static partial class Log
    {
        [LoggerMessage(EventId = 1301, Level = LogLevel.Information, Message = "Process {ProcessId} takes over: connections are frozen")]
        public static partial void Begins(ILogger logger, int processId);

        [LoggerMessage(EventId = 1302, Level = LogLevel.Information, Message = "Process {ProcessId} has taken over {Listeners} listeners and {Connections} connections; {Closed} connections were closed")]
        public static partial void Done(ILogger logger, int processId, int listeners, int connections, int closed);

        [LoggerMessage(EventId = 1303, Level = LogLevel.Error, Message = "Process {ProcessId} did not take over, this node serves on: {Reason}")]
        public static partial void Withdrawn(ILogger logger, int processId, string reason);

        [LoggerMessage(EventId = 1304, Level = LogLevel.Warning, Message = "A process on the handover socket is not welcome: {Reason}")]
        public static partial void NotWelcome(ILogger logger, string reason);

        [LoggerMessage(EventId = 1305, Level = LogLevel.Error, Message = "A handover failed")]
        public static partial void Failed(ILogger logger, Exception failure);
    }
}
