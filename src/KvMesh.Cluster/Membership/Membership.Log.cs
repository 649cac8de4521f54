using Microsoft.Extensions.Logging;

namespace KvMesh.Cluster.Membership;

/// <content>What operators read.</content>
public sealed partial class Membership
{
    [LoggerMessage(1200, LogLevel.Information, "Node {Self} joined cluster {Cluster} as incarnation {Incarnation}; it meets the others at {Store}.")]
    private partial void LogJoined(NodeId self, string cluster, long incarnation, string store);

    [LoggerMessage(1201, LogLevel.Error, "This node is no member: {Reason} Set Mesh:NodeId to an id of its own, or stop the other node. It goes on alone and tries again.")]
    private partial void LogRefused(string reason);

    [LoggerMessage(1202, LogLevel.Error, "Incarnation {Incarnation} of this node is no member any more: {Reason} It goes on alone and joins again when that one is gone.")]
    private partial void LogFenced(long incarnation, string reason);

    [LoggerMessage(1203, LogLevel.Warning, "{Store} had forgotten node {Self}; it registers again.")]
    private partial void LogForgotten(NodeId self, string store);

    [LoggerMessage(1204, LogLevel.Warning, "{Store} is silent: {Reason} The last view of the cluster stays in force.")]
    private partial void LogStoreSilent(string store, string reason);

    [LoggerMessage(1205, LogLevel.Warning, "Node {Node} is gone: it has been silent while others were heard.")]
    private partial void LogGone(NodeId node);

    [LoggerMessage(1206, LogLevel.Warning, "More nodes are silent at once than may be taken away in one step; they stay for now: {Nodes}.")]
    private partial void LogHeldBack(string nodes);

    [LoggerMessage(1207, LogLevel.Warning, "Node {Node}, version {Version}, is not used: it speaks mesh protocol {Lowest} to {Highest}, this node {OwnLowest} to {OwnHighest}.")]
    private partial void LogIncompatible(NodeId node, string version, int lowest, int highest, int ownLowest, int ownHighest);

    [LoggerMessage(1208, LogLevel.Warning, "{Store} lost its data; what is known of the cluster is kept while the nodes register again.")]
    private partial void LogStoreLostData(string store);

    [LoggerMessage(1209, LogLevel.Warning, "The cluster's identity was {Before} and is {After} now: the store had lost it.")]
    private partial void LogOtherIdentity(string before, string after);

    [LoggerMessage(1210, LogLevel.Information, "The others will notice by silence that this node leaves: {Reason}")]
    private partial void LogNoGoodbye(string reason);

    [LoggerMessage(1212, LogLevel.Warning, "Incarnation {Incarnation} of node {Node} was declared gone by an operator.")]
    private partial void LogForgot(NodeId node, long incarnation);

    [LoggerMessage(1211, LogLevel.Error, "A turn of membership failed; the loop goes on.")]
    private partial void LogTurnFailed(Exception exception);

    [LoggerMessage(1213, LogLevel.Warning, "An operator declared incarnation {Incarnation} of node {Self} gone, and it lives: it joins again under a new incarnation.")]
    private partial void LogDismissed(long incarnation, NodeId self);
}
