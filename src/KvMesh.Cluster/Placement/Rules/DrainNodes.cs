using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Placement.Rules;

/// <summary>Copies what only draining nodes hold to nodes that stay: where it is asked for, else where there is room.</summary>
internal sealed class DrainNodes : IPlacementRule
{
    public bool IsPromised => true;

    public IReadOnlyList<(PrefixState State, PlacementOrder Order)> Propose(PlanDraft draft)
    {
        var proposals = new List<(PrefixState, PlacementOrder)>();
        foreach (var state in draft.Input.Prefixes)
        {
            var leaving = state.Holdings
                .Select(holding => (holding.Node, End: draft.BlocksAt(state, holding.Node)))
                .Where(holder => draft.NodeOf(holder.Node)?.Record.State == NodeState.Draining)
                .DefaultIfEmpty()
                .MaxBy(holder => holder.End);
            if (leaving.End == 0 || draft.Targets.Count == 0)
            {
                continue;
            }

            var kept = draft.Targets.Select(node => draft.BlocksAt(state, node.Record.Id)).DefaultIfEmpty(0).Max();
            if (leaving.End <= kept)
            {
                continue;
            }

            var target = draft.Targets
                .OrderBy(node => state.Barred.Contains(node.Record.Id))
                .ThenByDescending(node => draft.BlocksAt(state, node.Record.Id))
                .ThenByDescending(node => state.RateAt(node.Record.Id))
                .ThenByDescending(node => node.RoomBytesLeft)
                .ThenBy(node => draft.Tie(state, node.Record.Id))
                .First();
            var expectedUses = Math.Min(1, 0.01 + (state.Rate * draft.Options.Horizon.TotalSeconds));
            var lossSeconds = expectedUses * state.Prefix.BytesOf(1) / draft.Options.RecomputeBytesPerSecond;
            if (draft.Pull(OrderKind.Drain, state, target, 0, leaving.End, lossSeconds, $"{leaving.Node} drains and nobody who stays holds it.") is { } order)
            {
                proposals.Add((state, order));
            }
        }

        return proposals;
    }
}
