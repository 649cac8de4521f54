using KvMesh.Engine;
using KvMesh.Gateway.Access;

namespace KvMesh.Server.Options;

/// <summary>Who the tenants of a node are: those that the options name, and those that the token file names.</summary>
internal static class TenantList
{
    /// <summary>Adds tenants of the token file that the options do not mention; they take an equal part of what is left.</summary>
    public static void Complete(NodeOptions options)
    {
        if (options.Access.TokenFile.Length == 0)
        {
            return;
        }

        var tenants = options.Engine.Tenants;
        foreach (var name in TokenFile.Read(options.Access.TokenFile).Select(entry => entry.Tenant).Distinct(StringComparer.Ordinal))
        {
            if (tenants.All(tenant => tenant.Name != name))
            {
                tenants.Add(new TenantOptions { Name = name });
            }
        }
    }
}
