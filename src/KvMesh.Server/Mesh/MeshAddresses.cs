using System.Net;
using KvMesh.Cluster.Membership;
using KvMesh.Server.Options;

namespace KvMesh.Server.Mesh;

/// <summary>Under which addresses other nodes are told to reach this one.</summary>
internal static class MeshAddresses
{
    public static NodeRecord Put(NodeRecord record, NodeOptions options, NodeEndpoints endpoints)
    {
        MeshOptionsRules.TrySplit(options.Mesh.AdvertiseAddress, out var host, out var port);
        return record with
        {
            NativeAddress = endpoints.Native is { } native ? Join(HostOf(host, native.Address), port > 0 ? port : native.Port) : "",
            RespAddress = endpoints.Resp is { } resp ? Join(HostOf(host, resp.Address), resp.Port) : "",
            HttpAddress = $"http://{Join(HostOf(host, NodeOptionsRules.AddressOf(options.Http.Address)!), endpoints.Http.Port)}/",
        };
    }

    private static string HostOf(string advertised, IPAddress bound) =>
        advertised.Length > 0 ? advertised
        : bound.Equals(IPAddress.Any) || bound.Equals(IPAddress.IPv6Any) ? Environment.MachineName
        : bound.ToString();

    private static string Join(string host, int port) => host.Contains(':', StringComparison.Ordinal) ? $"[{host}]:{port}" : $"{host}:{port}";
}
