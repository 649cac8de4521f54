using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Placement.Rules;

/// <summary>Copies a prefix to the nodes at which it is asked for. Where nobody asks for it any more it ages and leaves by itself.</summary>
internal sealed class FollowDemand : IPlacementRule
{
    /// <summary>A holder with less than this share of a target's demand is one that requests have left.</summary>
    private const double AbandonedShare = 0.1;

    public bool IsPromised => false;

    public IReadOnlyList<(PrefixState State, PlacementOrder Order)> Propose(PlanDraft draft)
    {
        var proposals = new List<(PrefixState, PlacementOrder)>();
        foreach (var state in draft.Input.Prefixes)
        {
            var copies = draft.WholeCopies(state).Count();
            foreach (var (node, rate) in state.Demand.OrderByDescending(demand => demand.RequestsPerSecond).ThenBy(demand => demand.Node.Value, StringComparer.Ordinal))
            {
                if (draft.NodeOf(node) is not { Record.State: NodeState.Active } target)
                {
                    continue;
                }

                var uses = rate * draft.Options.Horizon.TotalSeconds;
                var wantedGain = target.IsFull ? 2 * draft.Options.MinGain : draft.Options.MinGain;
                if (uses >= wantedGain && copies < draft.Options.MaxReplicas && Order(draft, state, target, uses) is { } order)
                {
                    proposals.Add((state, order));
                    copies++;
                }
            }
        }

        return proposals;
    }

    private static PlacementOrder? Order(PlanDraft draft, PrefixState state, NodeBudget target, double uses)
    {
        var rate = state.RateAt(target.Record.Id);
        var isAbandoned = state.Holdings.All(holding => holding.Node == target.Record.Id || state.RateAt(holding.Node) < AbandonedShare * rate);
        var reason = FormattableString.Invariant($"{rate:0.##} requests/s for it enter at {target.Record.Id}")
            + (isAbandoned ? ", and hardly any where it is." : ".");
        return draft.Pull(
            isAbandoned ? OrderKind.Migrate : OrderKind.Replicate, state, target, 0, state.Prefix.Blocks, uses * draft.PullSeconds(state, target, 1), reason);
    }
}
