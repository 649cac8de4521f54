using Microsoft.Extensions.Logging;

namespace KvMesh.Cluster.Removals;

public sealed partial class Removals
{
    [LoggerMessage(5101, LogLevel.Information, "The purge of {Scope} is number {Number}; the other nodes are told.")]
    private partial void LogTold(string scope, long number);

    [LoggerMessage(5102, LogLevel.Information, "Purge {Number} of another node was carried out: {Scope}.")]
    private partial void LogCarriedOut(string scope, long number);

    [LoggerMessage(5107, LogLevel.Warning, "What this node had carried out of the log of removals cannot be read; all of its blocks go, because some of them may have been removed.")]
    private partial void LogForgot();

    [LoggerMessage(5103, LogLevel.Warning, "This node was away while more was removed than {Store} keeps in mind; all of its blocks go, because some of them were removed.")]
    private partial void LogMissed(string store);

    [LoggerMessage(5104, LogLevel.Warning, "{Count} removals cannot be told to the other nodes: {Reason} They are kept, and told when it answers.")]
    private partial void LogUntold(int count, string reason);

    [LoggerMessage(EventId = 5105, Message = "{Store} lost the log of removals; it gets back what this node knows.")]
    private partial void LogOtherLife(LogLevel level, string store);

    [LoggerMessage(5108, LogLevel.Warning, "{Store} is silent: what was removed while this node was away is not known yet, and its own clients may still read it here.")]
    private partial void LogNotCaughtUp(string store);

    [LoggerMessage(5106, LogLevel.Error, "A turn of removals failed; they go on.")]
    private partial void LogTurnFailed(Exception exception);
}
