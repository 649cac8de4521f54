using System.Net.Http.Headers;
using KvMesh.Client.Admin;

namespace KvMesh.TestKit;

/// <summary>Clients of the HTTP door that outwait a busy machine; those that people use give up earlier.</summary>
public static class PatientAdmin
{
    public static AdminClient Of(NodeAddresses node) => Of(node.Http);

    /// <param name="token">Token of the caller; null on a node without credentials.</param>
    public static AdminClient Of(Uri node, string? token = null)
    {
        var http = new HttpClient { BaseAddress = node, Timeout = Eventually.Patience };
        http.DefaultRequestHeaders.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        return new AdminClient(http);
    }
}
