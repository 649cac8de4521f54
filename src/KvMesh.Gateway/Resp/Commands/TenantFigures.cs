using KvMesh.Engine.Telemetry;

namespace KvMesh.Gateway.Resp.Commands;

/// <summary>What a caller may know about sizes: its own tenant's, never another's.</summary>
internal static class TenantFigures
{
    public static TenantSnapshot Of(RespSession session) => Of(session, session.Services.Engine.Snapshot());

    public static TenantSnapshot Of(RespSession session, EngineSnapshot snapshot) =>
        snapshot.Tenants.FirstOrDefault(tenant => tenant.Name == session.Tenant.Name)
        ?? throw new InvalidOperationException($"The engine's figures lack its tenant '{session.Tenant.Name}'.");
}
