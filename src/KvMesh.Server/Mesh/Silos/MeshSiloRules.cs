using System.Net;
using KvMesh.Remote.Redis.Coordination;
using KvMesh.Server.Options;
using NodeId = KvMesh.Cluster.Membership.NodeId;

namespace KvMesh.Server.Mesh.Silos;

/// <summary>Which options of a silo can be meant, beside their ranges. Every rule speaks.</summary>
internal static class MeshSiloRules
{
    private static readonly TimeSpan ShortestTime = TimeSpan.FromMilliseconds(100);

    public static IEnumerable<string> Check(NodeOptions options)
    {
        var silo = options.Mesh.Silo;
        if (AddressOf(options) is null)
        {
            yield return $"Mesh:Silo:Address is \"{silo.Address}\" and Native:Address is \"{options.Native.Address}\"; "
                + "one of them must be an IP address under which other silos reach this one, the first where it is set.";
        }

        if (silo.ClusterId.Length > 0 && !NodeId.TryParse(silo.ClusterId, out _, out var idError))
        {
            yield return $"Mesh:Silo:ClusterId is \"{silo.ClusterId}\": {idError.Replace("node id", "name", StringComparison.Ordinal)}";
        }

        if (silo.Redis.Length > 0 && !RedisLink.TryParse(silo.Redis, out var redisError))
        {
            yield return $"Mesh:Silo:Redis cannot be used: {redisError}";
        }

        foreach (var error in CheckTimes(silo).Concat(CheckPorts(options)))
        {
            yield return error;
        }
    }

    /// <summary>The address of the silo; null: there is none that others could use.</summary>
    public static IPAddress? AddressOf(NodeOptions options)
    {
        var text = options.Mesh.Silo.Address;
        var address = NodeOptionsRules.AddressOf(text.Length > 0 ? text : options.Native.Address);
        return address is null || address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any) ? null : address;
    }

    private static IEnumerable<string> CheckTimes(MeshSiloOptions silo)
    {
        (string Name, TimeSpan Value, TimeSpan Most)[] times =
        [
            ("ProbeInterval", silo.ProbeInterval, TimeSpan.FromSeconds(30)),
            ("ResponseLimit", silo.ResponseLimit, TimeSpan.FromMinutes(5)),
        ];
        return times.Where(time => time.Value < ShortestTime || time.Value > time.Most)
            .Select(time => $"Mesh:Silo:{time.Name} is {OptionValues.Format(time.Value)}; it must be {OptionValues.Format(ShortestTime)} to {OptionValues.Format(time.Most)}.");
    }

    private static IEnumerable<string> CheckPorts(NodeOptions options)
    {
        var silo = options.Mesh.Silo;
        (string Name, int Port)[] others =
        [
            ("Mesh:Silo:GatewayPort", silo.GatewayPort),
            ("Http:Port", options.Http.Port),
            ("Native:Port", options.Native.Enabled ? options.Native.Port : 0),
            ("Resp:Port", options.Resp.Enabled ? options.Resp.Port : 0),
        ];
        var taken = others.Where(other => other.Port != 0 && other.Port == silo.Port).Select(other => ("Mesh:Silo:Port", other.Name, other.Port))
            .Concat(others.Skip(1).Where(other => other.Port != 0 && other.Port == silo.GatewayPort).Select(other => ("Mesh:Silo:GatewayPort", other.Name, other.Port)));
        return taken.Select(pair => $"{pair.Item1} and {pair.Name} are both {pair.Port}; each needs a port of its own.");
    }
}
