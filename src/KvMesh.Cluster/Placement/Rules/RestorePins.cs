namespace KvMesh.Cluster.Placement.Rules;

/// <summary>Brings a pin back to the copies it was promised, on different machines where there are some.</summary>
internal sealed class RestorePins : IPlacementRule
{
    /// <summary>When so many nodes more than copies are asked for have no room to keep the blocks, the next one hardly has: its bytes are not worth it.</summary>
    private const int MaxUnkept = 4;

    public bool IsPromised => true;

    public IReadOnlyList<(PrefixState State, PlacementOrder Order)> Propose(PlanDraft draft)
    {
        var proposals = new List<(PrefixState, PlacementOrder)>();
        foreach (var session in draft.Input.Sessions.Where(session => session.Replicas > 0))
        {
            if (draft.PrefixOf(session) is not { } state || session.Unkept.Length >= session.Replicas + MaxUnkept)
            {
                continue;
            }

            var whole = draft.WholeCopies(state).ToArray();
            var holders = whole.Where(node => !session.Unkept.Contains(node.Record.Id)).ToArray();
            var machines = holders.Select(node => node.Record.Machine).ToHashSet(StringComparer.Ordinal);
            var candidates = draft.Targets
                .Except(whole)
                .Where(node => !state.Barred.Contains(node.Record.Id))
                .OrderBy(node => machines.Contains(node.Record.Machine))
                .ThenByDescending(node => draft.BlocksAt(state, node.Record.Id))
                .ThenByDescending(node => node.Load.FreeBytes)
                .ThenBy(node => draft.Tie(state, node.Record.Id));
            foreach (var target in candidates.Take(Math.Max(0, session.Replicas - holders.Length)))
            {
                var reason = $"The pin of sequence {session.Sequence} asks for {session.Replicas} copies; {holders.Length} are whole" + (session.Unkept.IsEmpty ? "." : $", without {session.Unkept.Length} that nodes have no room to keep.");
                var lossSeconds = state.Prefix.BytesOf(1) / draft.Options.RecomputeBytesPerSecond;
                if (draft.Pull(OrderKind.RestorePin, state, target, 0, state.Prefix.Blocks, lossSeconds, reason) is { } order)
                {
                    proposals.Add((state, order));
                }
            }
        }

        return proposals;
    }
}
