using KvMesh.Cluster.Map;
using KvMesh.Engine.FarTiers;
using KvMesh.Protocol.Sockets;
using Microsoft.Extensions.Logging;

namespace KvMesh.Remote.Peers;

/// <summary>What reads from peers have in common, and what they tell the rest of the node.</summary>
internal sealed partial class PeerReadSurroundings(IBlockLocator locator, PeerContext context)
{
    /// <summary>Longest wait for a node to take a report.</summary>
    private static readonly TimeSpan ReportPatience = TimeSpan.FromMilliseconds(200);

    public IBlockLocator Locator => locator;

    public PeerOptions Options => context.Options;

    public TimeProvider Time => context.Time;

    /// <summary>A node that answers, but not this one for this tenant: it is not asked for it again for a while.</summary>
    public void NoteRefusal(Peer peer, string tenant, string reason)
    {
        if (peer.Refuse(tenant, context.Time))
        {
            Log.Refused(context.Logger, peer.Record.Id.Value, tenant, reason);
        }
    }

    /// <summary>Tells a node that bytes of a block were wrong when they came: it looks at them itself and quarantines them if they are.</summary>
    public void ReportMismatch(Peer peer, string tenant, ReadOnlySpan<byte> key)
    {
        Log.Mismatch(context.Logger, peer.Record.Id.Value, tenant, Convert.ToHexStringLower(key));
        if (!peer.Pool.TryRent(tenant, FetchPriority.Foreground, ReportPatience, fresh: false, out var connection) || connection is null)
        {
            return;
        }

        try
        {
            connection.Report(key);
            connection.TryPing(ReportPatience, context.Time);
        }
        catch (IOException)
        {
            // The node left: its scrubber will find the block when it is back.
        }
        finally
        {
            peer.Pool.Return(connection);
        }
    }

    /// <summary>Whether a node answers, on a new connection.</summary>
    public bool TryReach(Peer peer)
    {
        if (!peer.Pool.TryRent("", FetchPriority.Foreground, TimeSpan.Zero, fresh: true, out var connection) || connection is null)
        {
            return false;
        }

        try
        {
            return connection.TryPing(Options.ConnectTimeout, context.Time);
        }
        catch (ChannelException)
        {
            return false;
        }
        catch (PeerRefusalException)
        {
            // It lives, which is what was asked.
            return true;
        }
        finally
        {
            peer.Pool.Return(connection);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4001, LogLevel.Warning, "Node {Node} refuses to be read for tenant {Tenant}: {Reason}")]
        public static partial void Refused(ILogger logger, string node, string tenant, string reason);

        [LoggerMessage(4002, LogLevel.Error, "Node {Node} sent wrong bytes of block {Key} of tenant {Tenant}; they were not used, and the node was told")]
        public static partial void Mismatch(ILogger logger, string node, string tenant, string key);
    }
}
