namespace KvMesh.Cluster.Placement.Rules;

/// <summary>
/// Moves the blocks of a session to the node at which it will go on, just in time. Those whose return was named come first and make room; a guessed return is worth
/// free room only.
/// </summary>
internal sealed class PrefetchSessions(bool isGuessed) : IPlacementRule
{
    public bool IsPromised => !isGuessed;

    public IReadOnlyList<(PrefixState State, PlacementOrder Order)> Propose(PlanDraft draft)
    {
        var proposals = new List<(PrefixState, PlacementOrder)>();
        foreach (var session in draft.Input.Sessions)
        {
            if (session.IsReturnGuessed != isGuessed || session.ReturnsAt is not { } returnsAt || draft.PrefixOf(session) is not { } state || TargetOf(draft, session, state) is not { } target)
            {
                continue;
            }

            var pullSeconds = draft.PullSeconds(state, target, state.Prefix.Blocks);
            var lead = draft.Options.PrefetchMargin + TimeSpan.FromSeconds(Math.Min(pullSeconds / draft.Options.BandwidthShare, TimeSpan.FromHours(1).TotalSeconds));
            var untilReturn = returnsAt - draft.Input.Now;
            if (untilReturn > lead || untilReturn < -draft.Options.Horizon)
            {
                continue;
            }

            var reason = $"Sequence {session.Sequence} is expected at {target.Record.Id} in {Math.Max(0, untilReturn.TotalSeconds):0} s{(isGuessed ? ", by its earlier rests" : "")}.";
            if (draft.Pull(OrderKind.Prefetch, state, target, 0, state.Prefix.Blocks, pullSeconds / state.Prefix.Blocks, reason) is { } order)
            {
                proposals.Add((state, order));
            }
        }

        return proposals;
    }

    /// <summary>Where it said it would return, else the node that holds most of it and is least busy.</summary>
    private static NodeBudget? TargetOf(PlanDraft draft, SessionState session, PrefixState state) =>
        draft.Targets.FirstOrDefault(node => node.Record.Id == session.ReturnsTo)
        ?? draft.Targets
            .OrderByDescending(node => draft.BlocksAt(state, node.Record.Id))
            .ThenBy(node => node.Load.Utilisation)
            .ThenBy(node => draft.Tie(state, node.Record.Id))
            .FirstOrDefault();
}
