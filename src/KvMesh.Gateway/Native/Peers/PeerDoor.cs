using KvMesh.Cluster.Map;
using KvMesh.Engine;

namespace KvMesh.Gateway.Native.Peers;

/// <summary>
/// What the native door does for other nodes of the cluster: it feeds their block maps and answers from this node's own. One of it per
/// node, given to the door once the node takes part in a cluster.
/// </summary>
public sealed class PeerDoor(BlockEngine engine, BlockLocator locator) : IDisposable
{
    private readonly Lock _lock = new();
    private FeedLog? _log;
    private ulong _logKeyId;
    private bool _isDisposed;

    internal BlockLocator Locator => locator;

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
