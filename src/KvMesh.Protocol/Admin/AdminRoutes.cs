namespace KvMesh.Protocol.Admin;

/// <summary>Paths of the admin API. A token goes into <c>Authorization: Bearer …</c>; refusals are <see cref="ErrorBody"/>.</summary>
public static class AdminRoutes
{
    /// <summary>GET: <see cref="NodeStatus"/>.</summary>
    public const string Status = "/api/v1/status";

    /// <summary>GET <c>?tenant=&amp;key=</c> (base64url) or <c>&amp;text=</c>: <see cref="BlockStatus"/>, 404 on a miss; without a key
    /// <c>?tenant=&amp;cursor=&amp;count=</c>: <see cref="BlockPage"/>. DELETE <c>?tenant=&amp;key=</c>: <see cref="RemoveResult"/>.</summary>
    public const string Blocks = "/api/v1/blocks";

    /// <summary>GET: list of <see cref="TierStatus"/>.</summary>
    public const string Tiers = "/api/v1/tiers";

    /// <summary>GET: list of <see cref="TenantStatus"/>.</summary>
    public const string Tenants = "/api/v1/tenants";

    /// <summary>GET: <see cref="ClusterStatus"/>. DELETE <c>/{id}</c> declares a node gone. <c>/{id}/drain</c>: POST begins, DELETE takes back, GET asks for
    /// <see cref="DrainStatus"/>.</summary>
    public const string Nodes = "/api/v1/nodes";

    /// <summary>GET: <see cref="FlowList"/>. GET <c>/cluster</c>: <see cref="Admin.ClusterFlows"/>.</summary>
    public const string Flows = "/api/v1/flows";

    public const string ClusterFlows = Flows + "/cluster";

    /// <summary>GET <c>?count=</c>: <see cref="OrderList"/>. DELETE <c>/{id}</c> cancels one. POST <c>plan</c>: <see cref="PlanPreview"/>. POST <c>pause</c> and
    /// <c>resume</c>. GET <c>audit?count=</c>: list of <see cref="AuditEntry"/>.</summary>
    public const string Orders = "/api/v1/orders";

    /// <summary>GET: list of <see cref="ConnectionStatus"/>. DELETE <c>/{id}</c> ends one.</summary>
    public const string Connections = "/api/v1/connections";

    /// <summary>GET: list of <see cref="ConfigurationEntry"/>.</summary>
    public const string Configuration = "/api/v1/configuration";

    /// <summary>GET <c>?seconds=</c>: <see cref="HistoryStatus"/>.</summary>
    public const string History = "/api/v1/history";

    /// <summary>GET <c>?count=</c>: <see cref="PrefixList"/>.</summary>
    public const string Prefixes = "/api/v1/prefixes";

    /// <summary>GET <c>?ram=&amp;disk=&amp;codec=</c>: <see cref="AdviceStatus"/>.</summary>
    public const string Advice = "/api/v1/advice";

    /// <summary>POST <see cref="PurgeRequest"/>: <see cref="PurgeResult"/>.</summary>
    public const string Purge = "/api/v1/purge";

    /// <summary>GET <c>?tenant=&amp;after=&amp;count=</c>: <see cref="SequenceList"/>. POST <see cref="SequenceOpenRequest"/>. Below <c>/{name}</c>: GET and DELETE of
    /// one <see cref="SequenceStatus"/>; GET <c>segments?first=&amp;count=&amp;places=</c>: <see cref="SegmentList"/>; POST append, fork, pin, park and resume.</summary>
    public const string Sequences = "/api/v1/sequences";

    /// <summary>GET: server-sent events "update", each a <see cref="LiveUpdate"/>.</summary>
    public const string Live = "/api/v1/live";

    public const string OpenApi = "/openapi/v1.json";

    public const string Metrics = "/metrics";

    public const string Healthy = "/healthz";

    public const string Ready = "/readyz";
}
