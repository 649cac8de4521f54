namespace KvMesh.Cluster.Placement.Rules;

/// <summary>A node that hands out more than it should shares its hottest prefixes with the least busy ones.</summary>
internal sealed class RelieveHolders : IPlacementRule
{
    public bool IsPromised => false;

    public IReadOnlyList<(PrefixState State, PlacementOrder Order)> Propose(PlanDraft draft)
    {
        var proposals = new List<(PrefixState, PlacementOrder)>();
        foreach (var state in draft.Input.Prefixes)
        {
            // A copy that is only begun relieves nobody: it is completed before another one is.
            var whole = draft.WholeCopies(state).ToArray();
            var holders = whole.Length > 0 ? whole : [.. state.Holdings.Select(holding => draft.NodeOf(holding.Node)).OfType<NodeBudget>().Distinct()];
            var uses = state.Rate * draft.Options.Horizon.TotalSeconds;
            if (holders.Length == 0 || holders.Length >= draft.Options.MaxReplicas || uses < draft.Options.MinGain
                || holders.Any(node => node.Load.Utilisation < draft.Options.BusyUtilisation))
            {
                continue;
            }

            var target = draft.Targets
                .Except(holders)
                .Where(node => node.Load.Utilisation < draft.Options.BusyUtilisation && draft.BlocksAt(state, node.Record.Id) < state.Prefix.Blocks)
                .OrderByDescending(node => draft.BlocksAt(state, node.Record.Id))
                .ThenBy(node => node.Load.Utilisation)
                .ThenByDescending(node => node.RoomBytesLeft)
                .ThenBy(node => draft.Tie(state, node.Record.Id))
                .FirstOrDefault();
            if (target is null)
            {
                continue;
            }

            var least = holders.Min(node => node.Load.Utilisation);
            var reason = FormattableString.Invariant($"Its holders are busy, the least of them at {least:P0}.");
            var saved = uses * least * draft.PullSeconds(state, target, 1) / (holders.Length + 1);
            if (draft.Pull(OrderKind.Replicate, state, target, 0, state.Prefix.Blocks, saved, reason) is { } order)
            {
                proposals.Add((state, order));
            }
        }

        return proposals;
    }
}
