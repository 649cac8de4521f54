using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Storage;
using KvMesh.Protocol.Keys;

namespace KvMesh.Server.Mesh;

/// <summary>
/// What a node must know of its cluster after a restart, in <c>mesh.json</c> of the data directory: who owns the directory, its last
/// incarnation, and the cluster's identity. Losing it costs a failure time at the next join, nothing else.
/// </summary>
internal sealed class MeshState
{
    private const string FileName = "mesh.json";

    private readonly StateFile<Content> _file;
    private readonly Content _content;

    private MeshState(StateFile<Content> file, Content content)
    {
        _file = file;
        _content = content;
    }

    /// <summary>Names this directory on this machine: a copy of it elsewhere is another owner.</summary>
    public string Owner
    {
        get
        {
            var text = $"{_content.Owner}\n{Environment.MachineName}\n{Path.GetDirectoryName(_file.Path)}";
            return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 16));
        }
    }

    public long Incarnation => _content.Incarnation;

    /// <summary>The identity of that cluster, when this node was in it before.</summary>
    public ClusterIdentity? IdentityOf(string cluster) => _content.Cluster == cluster && _content.Secret is { Length: 2 } secret
        ? new ClusterIdentity(cluster, new DigestSecret(secret[0], secret[1]), DateTimeOffset.FromUnixTimeMilliseconds(_content.CreatedAtMilliseconds))
        : null;

    /// <summary>Reads the file, or begins anew where there is none that can be read.</summary>
    public static MeshState Open(string directory)
    {
        var file = new StateFile<Content>(directory, FileName, MeshStateJson.Default.Content);
        Content? content = null;
        try
        {
            content = file.Read();
        }
        catch (JsonException)
        {
            // Written as a whole or not at all; what is no JSON was damaged since, and holds nothing that cannot be had again.
        }

        return new MeshState(file, content ?? new Content { Owner = Guid.NewGuid().ToString("n") });
    }

    /// <summary>Remembers a join.</summary>
    public void Save(long incarnation, ClusterIdentity identity)
    {
        _content.Incarnation = incarnation;
        _content.Cluster = identity.Name;
        _content.Secret = [identity.Secret.Low, identity.Secret.High];
        _content.CreatedAtMilliseconds = identity.CreatedAt.ToUnixTimeMilliseconds();
        _file.Write(_content);
    }

    internal sealed class Content
    {
        public string Owner { get; set; } = "";

        public long Incarnation { get; set; }

        public string Cluster { get; set; } = "";

        public ulong[]? Secret { get; set; }

        public long CreatedAtMilliseconds { get; set; }
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(MeshState.Content))]
internal sealed partial class MeshStateJson : JsonSerializerContext;
