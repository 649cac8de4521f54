using Microsoft.Extensions.Logging;

namespace KvMesh.Remote.Redis.Blocks;

internal sealed partial class RedisRemovals
{
    [LoggerMessage(4111, LogLevel.Warning, "More than {Limit} removals waited for the Redis tier at {Address}; all copies of this node's tenants there are void instead.")]
    private partial void LogOverrun(string address, int limit);

    [LoggerMessage(4112, LogLevel.Warning, "The Redis tier at {Address} was not told of {Count} removals before this node stopped: other nodes see those blocks until this one starts again, or until they expire.")]
    private partial void LogLost(string address, long count);

    [LoggerMessage(4113, LogLevel.Error, "A step of the Redis tier's removals failed; they go on.")]
    private partial void LogStepFailed(Exception exception);
}
