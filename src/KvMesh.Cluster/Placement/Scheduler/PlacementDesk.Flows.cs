using System.Text.Json;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>What moves between the nodes, told by each of them with the credential of the cluster: an operator's token goes to the node that it was given for, and to no other.</summary>
public sealed partial class PlacementDesk
{
    /// <summary>Nodes that are asked at most; a larger mesh is watched with Prometheus.</summary>
    private const int MaxFlowNodes = 64;

    private static readonly TimeSpan FlowPatience = TimeSpan.FromSeconds(2);

    /// <summary>The flows of this node; null: it tells none.</summary>
    public Func<FlowList>? Flows { get; set; }

    /// <summary>The flows of all nodes. One that does not answer costs a deadline, and is named.</summary>
    public async Task<ClusterFlows> CollectFlowsAsync(CancellationToken cancellationToken)
    {
        var (views, calls) = (scheduler.Parts.Views, scheduler.Parts.Calls);
        var others = views.Current.Nodes.Where(node => node.Id != views.Self).ToList();
        var answers = await Task.WhenAll(others.Take(MaxFlowNodes - 1).Select(node => AskFlowsAsync(calls, node, cancellationToken))).ConfigureAwait(false);
        List<FlowList> told = [.. answers.Select(answer => answer.List).OfType<FlowList>()];
        List<UntoldFlows> untold = [.. answers.Where(answer => answer.List is null).Select(answer => new UntoldFlows(answer.Node, answer.Why))];
        if (others.Count >= MaxFlowNodes)
        {
            untold.Add(new UntoldFlows("", $"{others.Count - MaxFlowNodes + 1} further nodes are not asked."));
        }

        return new ClusterFlows(Flows is { } own ? [own(), .. told] : told, untold);
    }

    private static async Task<(string Node, FlowList? List, string Why)> AskFlowsAsync(IPlacementCalls calls, NodeRecord node, CancellationToken cancellationToken)
    {
        try
        {
            var json = await calls.DeskAsync(node, new DeskRequest(DeskAction.Flows, 0, "", ""), FlowPatience, cancellationToken).ConfigureAwait(false);
            var list = json is { Length: > 0 } payload ? JsonSerializer.Deserialize(payload.Span, AdminJson.Default.FlowList) : null;
            return (node.Id.Value, list, list is null ? "does not tell" : "");
        }
        catch (Exception exception) when (exception is NodeSilentException or JsonException)
        {
            return (node.Id.Value, null, exception is JsonException ? "tells what makes no sense here" : exception.Message);
        }
    }
}
