using System.Security.Cryptography;
using System.Text;
using KvMesh.Protocol.Native;

namespace KvMesh.Cluster.Membership;

/// <summary>
/// How a node shows another that it is a member of its cluster: a token for the hello of the native protocol, or for HTTP. A caller
/// that showed it may read and write for any tenant that the other node has, named in the hello.
/// </summary>
/// <remarks>
/// With a key that all nodes of a cluster share, the token is bound to the node that receives it, so that it opens no other. It travels
/// in clear like every token: off loopback, a private network or a TLS proxy lies in between.
/// </remarks>
public sealed class PeerCredential
{
    /// <summary>Fewest and most bytes of a key.</summary>
    public const int MinKeyBytes = 32;

    public const int MaxKeyBytes = 4096;

    private const string Prefix = "kvmesh-peer-1.";

    private readonly byte[]? _key;
    private readonly string? _token;
    private readonly string _cluster;
    private readonly NativeVersions _versions;

    private PeerCredential(byte[]? key, string? token, string cluster, NativeVersions? versions = null)
    {
        _versions = versions ?? NativeVersions.Own;
        _key = key;
        _token = token;
        _cluster = cluster;
    }

    /// <summary>For nodes without credentials: everyone who reaches them is served.</summary>
    public static PeerCredential None { get; } = new(null, null, "");

    /// <summary>A token that stands in the token file of every other node, with the right <c>peer</c>.</summary>
    public static PeerCredential FromToken(string token) => new(null, token, "");

    /// <summary>A key of <see cref="MinKeyBytes"/> to <see cref="MaxKeyBytes"/> bytes that every node of the cluster has.</summary>
    public static PeerCredential FromKey(ReadOnlySpan<byte> key, string cluster)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(key.Length, MinKeyBytes, nameof(key));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(key.Length, MaxKeyBytes, nameof(key));
        return new PeerCredential(key.ToArray(), null, cluster);
    }

    /// <summary>The same of a node that speaks these versions of the native protocol.</summary>
    public PeerCredential Speaking(NativeVersions versions) => new(_key, _token, _cluster, versions);

    /// <summary>With what a connection to a node begins. A node without a common version is in no view that anybody works with.</summary>
    public PeerGreeting GreetingFor(NodeRecord node)
    {
        ArgumentNullException.ThrowIfNull(node);
        return new PeerGreeting(TokenFor(node.Id), _versions.AgreeOn(node.MinProtocol, node.MaxProtocol) ?? _versions.Highest);
    }

    /// <summary>The token to send to a node; null: send none.</summary>
    public string? TokenFor(NodeId node) => _key is null ? _token : Sign(node);

    /// <summary>Whether this token was made for this node by a holder of the key. Takes the same time whatever differs.</summary>
    public bool Admits(ReadOnlySpan<byte> token, NodeId self) =>
        _key is not null && CryptographicOperations.FixedTimeEquals(token, Encoding.ASCII.GetBytes(Sign(self)));

    private string Sign(NodeId receiver)
    {
        var content = Encoding.UTF8.GetBytes($"kvmesh peer 1\n{_cluster}\n{receiver}");
        return Prefix + Convert.ToHexStringLower(HMACSHA256.HashData(_key!, content));
    }
}

/// <summary>With what a node begins a connection to another.</summary>
/// <param name="Token">Shown in the hello; null: none.</param>
/// <param name="Version">Version of the native protocol in which both talk.</param>
public readonly record struct PeerGreeting(string? Token, byte Version);
