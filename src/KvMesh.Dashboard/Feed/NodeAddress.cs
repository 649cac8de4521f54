using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace KvMesh.Dashboard.Feed;

/// <summary>Where the node is: the address in the options, or this server's own once it listens.</summary>
internal sealed class NodeAddress(DashboardOptions options, IServer server)
{
    public Uri Resolve() => options.Node ?? Own();

    private Uri Own()
    {
        var address = server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault()
            ?? throw new InvalidOperationException("The dashboard has no node: the server listens nowhere and DashboardOptions.Node is null.");
        var uri = new UriBuilder(address.Replace("://*", "://0.0.0.0", StringComparison.Ordinal).Replace("://+", "://0.0.0.0", StringComparison.Ordinal));
        if (IPAddress.TryParse(uri.Host.Trim('[', ']'), out var ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any)))
        {
            uri.Host = "127.0.0.1";
        }

        return uri.Uri;
    }
}
