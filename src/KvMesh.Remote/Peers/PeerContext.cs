using KvMesh.Cluster.Membership;
using Microsoft.Extensions.Logging;

namespace KvMesh.Remote.Peers;

/// <summary>What every part of the peer tier needs.</summary>
/// <param name="Self">This node.</param>
/// <param name="Credential">How it shows others that it is a member.</param>
/// <param name="CongestionControl">TCP congestion control algorithm; empty: the system's.</param>
public sealed record PeerContext(
    NodeId Self, PeerCredential Credential, PeerOptions Options, string CongestionControl, TimeProvider Time, ILogger Logger);
