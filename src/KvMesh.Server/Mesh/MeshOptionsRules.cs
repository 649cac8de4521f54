using System.Net;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Native;
using KvMesh.Remote.Peers.Feed;
using KvMesh.Remote.Redis.Coordination;
using KvMesh.Server.Mesh.Silos;
using KvMesh.Server.Options;
using NodeId = KvMesh.Cluster.Membership.NodeId;

namespace KvMesh.Server.Mesh;

/// <summary>Which options of the mesh can be meant. Every rule speaks.</summary>
internal static class MeshOptionsRules
{
    public static IEnumerable<string> Check(NodeOptions options)
    {
        var mesh = options.Mesh;
        if (!NodeId.TryParse(mesh.NodeId, out _, out var idError))
        {
            yield return $"Mesh:NodeId is \"{mesh.NodeId}\": {idError}";
        }

        if (!NodeId.TryParse(mesh.Cluster, out _, out var clusterError))
        {
            yield return $"Mesh:Cluster is \"{mesh.Cluster}\": {clusterError.Replace("node id", "name", StringComparison.Ordinal)}";
        }

        if (mesh.Control == ControlHost.Orleans && !MeshSilo.IsBuilt)
        {
            yield return "Mesh:Control is Orleans, for which a program is built with the property KvMeshOrleans (-p:KvMeshOrleans=true); this one was not. It must be Auto, Embedded or Redis.";
        }

        if (mesh.Control is ControlHost.Redis or ControlHost.Orleans && mesh.Redis.Length == 0)
        {
            yield return $"Mesh:Control is {mesh.Control} and Mesh:Redis is empty; it must be the address of a Redis server.";
        }

        if (mesh.Control == ControlHost.Embedded && mesh.Redis.Length > 0)
        {
            yield return "Mesh:Control is Embedded, which needs no Redis, and Mesh:Redis is set; leave one of them out.";
        }

        if (mesh.Versions.Length > 0 && !NativeVersions.TryParse(mesh.Versions, out _))
        {
            yield return $"Mesh:Versions is \"{mesh.Versions}\"; it must be a version from 1 to 255, or two with '-' between them, the lower one first.";
        }

        foreach (var error in CheckTimes(mesh).Concat(CheckFeed(mesh.Feed)).Concat(CheckKey(mesh)).Concat(mesh.RedisBlocks.Validate("Mesh:RedisBlocks"))
            .Concat(mesh.Control == ControlHost.Orleans ? MeshSiloRules.Check(options) : []))
        {
            yield return error;
        }

        if (mesh.Redis.Length > 0 && !RedisLink.TryParse(mesh.Redis, out var redisError))
        {
            yield return $"Mesh:Redis cannot be used: {redisError}";
        }

        if (IsShared(mesh))
        {
            foreach (var error in CheckReach(options))
            {
                yield return error;
            }
        }
    }

    /// <summary>Whether there may be other nodes.</summary>
    public static bool IsShared(MeshOptions mesh) => mesh.Control is ControlHost.Redis or ControlHost.Orleans || (mesh.Control == ControlHost.Auto && mesh.Redis.Length > 0);

    /// <summary>Host and port of an advertised address; port 0: that of the door.</summary>
    public static bool TrySplit(string address, out string host, out int port)
    {
        port = 0;
        host = address;
        var colon = address.LastIndexOf(':');
        if (colon >= 0 && !(IPAddress.TryParse(address, out _) && !address.Contains('.', StringComparison.Ordinal)))
        {
            host = address[..colon];
            if (!int.TryParse(address[(colon + 1)..], out port) || port is < 1 or > 65535)
            {
                return false;
            }
        }

        host = host.Trim('[', ']');
        return Uri.CheckHostName(host) != UriHostNameType.Unknown;
    }

    private static IEnumerable<string> CheckTimes(MeshOptions mesh)
    {
        var heartbeat = mesh.HeartbeatInterval;
        if (heartbeat < TimeSpan.FromMilliseconds(50) || heartbeat > TimeSpan.FromSeconds(30))
        {
            yield return $"Mesh:HeartbeatInterval is {OptionValues.Format(heartbeat)}; it must be 50ms to 30s.";
        }
        else if (mesh.FailureTime < heartbeat * 4 || mesh.FailureTime > TimeSpan.FromMinutes(5))
        {
            yield return $"Mesh:FailureTime is {OptionValues.Format(mesh.FailureTime)}; it must be at least four of Mesh:HeartbeatInterval, {OptionValues.Format(heartbeat * 4)}, and at most 5m.";
        }
    }

    private static IEnumerable<string> CheckFeed(MapFeedOptions feed)
    {
        (string Name, TimeSpan Value, TimeSpan Least, TimeSpan Most)[] times =
        [
            ("Interval", feed.Interval, TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(10)),
            ("AnswerLimit", feed.AnswerLimit, TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(5)),
            ("RetryLimit", feed.RetryLimit, TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(5)),
            ("RefillInterval", feed.RefillInterval, TimeSpan.FromSeconds(1), TimeSpan.FromDays(1)),
        ];
        foreach (var (name, value, least, most) in times.Where(time => time.Value < time.Least || time.Value > time.Most))
        {
            yield return $"Mesh:Feed:{name} is {OptionValues.Format(value)}; it must be {OptionValues.Format(least)} to {OptionValues.Format(most)}.";
        }
    }

    private static IEnumerable<string> CheckKey(MeshOptions mesh)
    {
        if (mesh.KeyFile.Length == 0)
        {
            yield break;
        }

        var length = -1L;
        var problem = "";
        try
        {
            length = new FileInfo(mesh.KeyFile).Length;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            problem = exception.Message;
        }

        if (problem.Length > 0)
        {
            yield return $"Mesh:KeyFile is {mesh.KeyFile}: {problem}";
        }
        else if (length is < PeerCredential.MinKeyBytes or > PeerCredential.MaxKeyBytes)
        {
            yield return $"Mesh:KeyFile is {mesh.KeyFile}, which has {length} bytes; it must have {PeerCredential.MinKeyBytes} to {PeerCredential.MaxKeyBytes}.";
        }
    }

    private static IEnumerable<string> CheckReach(NodeOptions options)
    {
        var mesh = options.Mesh;
        if (!options.Native.Enabled)
        {
            yield return "Native:Enabled is false and the node is one of several; others reach it through the native door.";
        }

        if (mesh.AdvertiseAddress.Length > 0 && !TrySplit(mesh.AdvertiseAddress, out _, out _))
        {
            yield return $"Mesh:AdvertiseAddress is \"{mesh.AdvertiseAddress}\"; it must be a host name or IP address, or one with :port.";
        }

        if (options.Access.TokenFile.Length > 0 && mesh.KeyFile.Length == 0 && mesh.PeerToken.Length == 0)
        {
            yield return "Access:TokenFile is set and the node is one of several, which must know each other: set Mesh:KeyFile on all of them, or Mesh:PeerToken.";
        }
    }
}
