using KvMesh.Cluster.Placement.Rules;

namespace KvMesh.Cluster.Placement;

/// <summary>
/// Decides which blocks move where. A pure function: it reads no clock, calls nobody and rolls no dice beyond the seed in the options. Rules
/// come in the order of what they protect: promises first, then sessions that return, then demand.
/// </summary>
public static class PlacementPlanner
{
    private static readonly IPlacementRule[] Rules =
    [
        new RestorePins(), new DrainNodes(), new PrefetchSessions(isGuessed: false), new PrefetchSessions(isGuessed: true),
        new FollowDemand(), new RelieveHolders(), new SpreadLongPrefixes(),
    ];

    public static PlacementPlan Plan(PlacementInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        var draft = new PlanDraft(input);
        foreach (var rule in Rules)
        {
            foreach (var (state, order) in rule.Propose(draft).OrderByDescending(Worth).ThenBy(proposal => proposal.Order.Name, StringComparer.Ordinal))
            {
                draft.Add(state, order, rule.IsPromised);
            }
        }

        return draft.Build();
    }

    private static double Worth((PrefixState State, PlacementOrder Order) proposal) =>
        proposal.Order.BenefitSeconds / Math.Max(proposal.Order.CostSeconds, 1e-9);
}
