using KvMesh.Cluster.Map;
using KvMesh.Cluster.Placement.Nodes;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Cluster.Removals;
using KvMesh.Engine;
using KvMesh.Engine.Blocks;

namespace KvMesh.Gateway.Native.Peers;

/// <summary>
/// What the native door does for other nodes of the cluster: it feeds their block maps and answers from this node's own. One of it per
/// node, given to the door once the node takes part in a cluster.
/// </summary>
public sealed class PeerDoor(BlockEngine engine, BlockLocator locator, TimeProvider time) : IDisposable
{
    /// <summary>Most blocks a second of which the directories are told that they are not here.</summary>
    public const int CorrectionsPerSecond = 1000;

    private readonly Lock _lock = new();
    private readonly CorrectionBudget _corrections = new(CorrectionsPerSecond, time);
    private FeedLog? _log;
    private ulong _logKeyId;
    private bool _isDisposed;

    internal BlockLocator Locator => locator;

    /// <summary>Answers the node that plans placement; null: it is refused.</summary>
    public IPlacementNode? Placement { get; set; }

    /// <summary>Answers what operators asked other nodes; null: it is refused.</summary>
    public PlacementDesk? Desk { get; set; }

    /// <summary>What was removed in the cluster; null: this node has no others.</summary>
    public Removals? Removals { get; set; }

    /// <summary>
    /// Somebody took a block to be here that is not, or not to be here that is, because a directory says so: all directories are told how it stands, with the
    /// other changes. At most <see cref="CorrectionsPerSecond"/>, so that questions for what never was here cost little.
    /// </summary>
    public void Correct(Tenant tenant, ReadOnlySpan<byte> key)
    {
        lock (_lock)
        {
            if (_log is not null && _corrections.TryTake())
            {
                _log.Correct(tenant, key);
            }
        }
    }

    /// <summary>Ends the feed. Later requests are refused.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
            _log?.Dispose();
            _log = null;
        }
    }

    /// <summary>The changes under the digest key of that id, from the first question on; null when this node computes digests under another one.</summary>
    internal FeedLog? LogFor(ulong keyId)
    {
        lock (_lock)
        {
            if (_isDisposed || locator.Role is not { } role || role.KeyId != keyId)
            {
                return null;
            }

            if (_log is null || _logKeyId != keyId)
            {
                _log?.Dispose();
                _log = new FeedLog(engine, role.Secret);
                _logKeyId = keyId;
            }

            return _log;
        }
    }
}
