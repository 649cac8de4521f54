namespace KvMesh.Cluster.Placement.Rules;

/// <summary>
/// Lays runs of a long prefix on several nodes, so that whoever needs it pulls from all of them at once. Only prefixes that are asked for or
/// that a session will ask for.
/// </summary>
internal sealed class SpreadLongPrefixes : IPlacementRule
{
    public bool IsPromised => false;

    public IReadOnlyList<(PrefixState State, PlacementOrder Order)> Propose(PlanDraft draft)
    {
        var awaited = draft.Input.Sessions.Where(session => session.ReturnsAt is not null).Select(session => (session.Tenant, session.Tail)).ToHashSet();
        var proposals = new List<(PrefixState, PlacementOrder)>();
        foreach (var state in draft.Input.Prefixes)
        {
            if (state.Rate > 0 || awaited.Contains((state.Prefix.Tenant, state.Prefix.Tail)))
            {
                Spread(draft, state, proposals);
            }
        }

        return proposals;
    }

    private static void Spread(PlanDraft draft, PrefixState state, List<(PrefixState, PlacementOrder)> proposals)
    {
        var whole = draft.WholeCopies(state).ToArray();
        if (whole.Length == 0)
        {
            return;
        }

        var seconds = state.Prefix.Bytes / Math.Max(1, whole.Max(node => node.Load.OutBytesPerSecond));
        var wanted = (int)Math.Min(Math.Ceiling(seconds / draft.Options.SlowPull.TotalSeconds), draft.Options.MaxSpread);
        var parts = Math.Min(Math.Min(wanted, state.Prefix.Blocks), draft.Targets.Count);
        if (parts <= whole.Length)
        {
            return;
        }

        int FirstOf(int part) => (int)((long)state.Prefix.Blocks * part / parts);
        int Begun(NodeBudget node, int part) => draft.EndOfRun(state, node.Record.Id, FirstOf(part)) - FirstOf(part);
        var parted = Enumerable.Range(whole.Length, parts - whole.Length);

        // Whole copies serve the first parts; each of the others goes to a node of its own.
        var others = draft.Targets.Except(whole)
            .OrderBy(node => node.Load.Utilisation)
            .ThenBy(node => draft.Tie(state, node.Record.Id))
            .ToList();
        for (var part = whole.Length; part < parts; part++)
        {
            var (first, end) = (FirstOf(part), FirstOf(part + 1));
            if (others.Any(node => draft.EndOfRun(state, node.Record.Id, first) >= end))
            {
                continue;
            }

            // A part that a budget cut is gone on with where it was begun, whoever is idle by now.
            var target = others.OrderByDescending(node => Begun(node, part)).ThenBy(node => parted.Any(other => other != part && Begun(node, other) > 0)).First();
            others.Remove(target);
            var reason = FormattableString.Invariant($"A pull of it from one node takes {seconds:0.0} s; {parts} nodes share it.");
            var saved = seconds * (parts - 1) / parts / state.Prefix.Blocks;
            if (draft.Pull(OrderKind.Spread, state, target, first, end, saved, reason) is { } order)
            {
                proposals.Add((state, order));
            }
        }
    }
}
