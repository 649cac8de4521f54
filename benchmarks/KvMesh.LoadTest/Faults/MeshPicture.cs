using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using KvMesh.Protocol.Admin;

namespace KvMesh.LoadTest.Faults;

/// <summary>How things stand at each node of a mesh, for the reader of a failure: whom it sees, what it has of a block, and how it fares with the others.</summary>
internal static class MeshPicture
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Figures that tell why a block is a miss.</summary>
    private static readonly string[] Figures =
    [
        "kvmesh_mesh_", "kvmesh_map_", "kvmesh_peer_", "kvmesh_removals_", "kvmesh_far_", "kvmesh_placement_held_blocks", "kvmesh_placement_pending_pins", "kvmesh_arena_", "kvmesh_tenant_",
    ];

    /// <summary>Runs a step; when it fails for lack of time, what the nodes say of themselves is added to the failure.</summary>
    /// <param name="key">A block that is looked for on each node; empty: none.</param>
    public static async Task ExplainAsync(FaultMesh mesh, ReadOnlyMemory<byte> key, Func<Task> step)
    {
        try
        {
            await step();
        }
        catch (TimeoutException exception)
        {
            throw new TimeoutException($"{exception.Message}{await TakeAsync(mesh, key)}", exception);
        }
    }

    private static async Task<string> TakeAsync(FaultMesh mesh, ReadOnlyMemory<byte> key)
    {
        var text = new StringBuilder();
        foreach (var node in mesh.Nodes)
        {
            var name = node.Target.Name;
            text.Append(CultureInfo.InvariantCulture, $"\n{name} sees: {await ReadAsync(node.Target, AdminRoutes.Nodes, MembersOf)}");
            text.Append(CultureInfo.InvariantCulture, $"\n{name} beyond itself: {await ReadAsync(node.Target, AdminRoutes.Status, FarTiersOf)}");
            if (!key.IsEmpty)
            {
                text.Append(CultureInfo.InvariantCulture, $"\n{name} has: {await ReadAsync(node.Target, $"{AdminRoutes.Blocks}?key={Base64Url.EncodeToString(key.Span)}", static all => all)}");
            }

            text.Append(CultureInfo.InvariantCulture, $"\n{name} counts: {await ReadAsync(node.Target, "/metrics", FiguresOf)}");
            text.Append(CultureInfo.InvariantCulture, $"\n{name} printed: {node.Describe()}");
        }

        return text.ToString();
    }

    private static async Task<string> ReadAsync(NodeTarget node, string path, Func<string, string> choose)
    {
        try
        {
            using var http = new HttpClient { Timeout = Patience };
            using var response = await http.GetAsync(new Uri(node.Http, path));
            var text = await response.Content.ReadAsStringAsync();
            return response.IsSuccessStatusCode ? choose(text) : $"{(int)response.StatusCode}";
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException or JsonException)
        {
            return exception.Message;
        }
    }

    private static string MembersOf(string json)
    {
        var status = JsonSerializer.Deserialize(json, AdminJson.Default.ClusterStatus)!;
        var members = status.Nodes.Select(node => $"{node.Id}/{node.Incarnation} {node.State}{(node.IsUsed ? "" : " unused")} at {node.NativeAddress}");
        var store = status.StoreSilentSeconds is { } silent ? string.Create(CultureInfo.InvariantCulture, $", Redis silent for {silent:0.0} s") : "";
        var heldBack = status.HeldBack.Count > 0 ? $", kept though silent: {string.Join(' ', status.HeldBack)}" : "";
        return $"{status.Standing} {status.Reason} view {status.Epoch}{(status.IsFrozen ? " frozen" : "")}{store}{heldBack}: {string.Join(", ", members)}";
    }

    private static string FarTiersOf(string json)
    {
        var status = JsonSerializer.Deserialize(json, AdminJson.Default.NodeStatus)!;
        return string.Join("; ", (status.FarTiers ?? []).Select(tier => tier.ToString()));
    }

    private static string FiguresOf(string metrics) => string.Join(
        "; ", metrics.Split('\n').Where(line => Figures.Any(figure => line.StartsWith(figure, StringComparison.Ordinal)) && !line.Contains("_bucket", StringComparison.Ordinal)));
}
