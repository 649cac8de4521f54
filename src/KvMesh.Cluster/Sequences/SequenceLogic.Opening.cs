using System.Collections.Immutable;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Sequences;

/// <summary>How sequences begin, and how forks hold on to what they share.</summary>
public static partial class SequenceLogic
{
    /// <summary>Enough of a layout to tell two apart.</summary>
    private const int LayoutBytesShown = 4;

    private static SequenceDecision Open(SequenceHead? head, OpenSequence open, long now, ulong rowsId, SequenceRules rules)
    {
        if (head is not null && head.State != SequenceState.Closed)
        {
            return head.Scope.Span.SequenceEqual(open.Scope.Span) && head.Parts == open.Parts
                ? SequenceDecision.Change(Wake(head, open.Holder, now) with { LosslessOnly = head.LosslessOnly || open.LosslessOnly }, SequenceEventKind.Taken)
                : SequenceDecision.Refuse(SequenceRefusal.AlreadyExists, $"The sequence exists {Describe(head.Scope.Span, head.Parts)}; it was to be opened {Describe(open.Scope.Span, open.Parts)}.", head);
        }

        if (RefuseName(head) is { } refusal)
        {
            return refusal;
        }

        var lifetime = open.Lifetime == TimeSpan.Zero ? rules.MaxLifetime : open.Lifetime;
        var idle = open.IdleLimit == TimeSpan.Zero ? rules.DefaultIdleLimit : open.IdleLimit;
        return SequenceDecision.Change(
            Begin(head, now, rowsId) with
            {
                Scope = open.Scope,
                Parts = open.Parts,
                Holder = open.Holder,
                IdleMilliseconds = (long)idle.TotalMilliseconds,
                ExpiresAt = now + (long)lifetime.TotalMilliseconds,
                LosslessOnly = open.LosslessOnly,
            },
            SequenceEventKind.Opened);
    }

    /// <summary>What must be the same for whoever takes a sequence.</summary>
    private static string Describe(ReadOnlySpan<byte> scope, int parts)
    {
        if (!BlockScope.TryParse(scope, out var model, out var revision))
        {
            return $"with a scope of {scope.Length} bytes and parts: {parts}";
        }

        // Behind the names lie 32 bytes of layout and the number of the part.
        var layout = Convert.ToHexStringLower(scope[^(Limits.ChainHashBytes + sizeof(uint))..][..LayoutBytesShown]);
        return $"for model '{model}', revision '{revision}', layout {layout}…, parts: {parts}";
    }

    private static SequenceDecision OpenFork(SequenceHead? head, OpenFork fork, long now, ulong rowsId)
    {
        if (head is not null && head.State != SequenceState.Closed)
        {
            return SequenceDecision.Refuse(SequenceRefusal.AlreadyExists, "A sequence with the name of the fork exists.", head);
        }

        if (RefuseName(head) is { } refusal)
        {
            return refusal;
        }

        return SequenceDecision.Change(
            Begin(head, now, rowsId) with
            {
                Scope = fork.Parent.Scope,
                Parts = fork.Parent.Parts,
                Holder = fork.Holder,
                IdleMilliseconds = fork.Parent.IdleMilliseconds,
                ExpiresAt = fork.Parent.ExpiresAt,
                Origin = fork.Origin,
                Segments = fork.Origin.Segments,
                Blocks = fork.Origin.Blocks,
                Tokens = fork.Tokens,
                Bytes = fork.Bytes,
                LastHash = fork.LastHash,
                LosslessOnly = fork.Parent.LosslessOnly || fork.LosslessOnly,
            },
            SequenceEventKind.Opened);
    }

    private static SequenceDecision Retain(SequenceHead head, RetainFork retain)
    {
        if (retain.Blocks > head.Blocks)
        {
            return SequenceDecision.Refuse(SequenceRefusal.WrongBlock, $"blocks is {retain.Blocks}; the sequence has {head.Blocks}.", head);
        }

        if (head.Forks == SequenceLimits.MaxForks || head.Origin.Depth == SequenceLimits.MaxForkDepth)
        {
            return SequenceDecision.Refuse(
                SequenceRefusal.TooLarge, $"The sequence has {head.Forks} forks and {head.Origin.Depth} origins; the limits are {SequenceLimits.MaxForks} and {SequenceLimits.MaxForkDepth}.", head);
        }

        return SequenceDecision.Change(head with { Forks = head.Forks + 1 }, SequenceEventKind.Forked);
    }

    /// <summary>Also of a closed sequence: its rows go with the last fork. Anything else is repeated news and changes nothing.</summary>
    private static SequenceDecision Release(SequenceHead? head, ReleaseFork release) =>
        head is { Forks: > 0 } && head.RowsId == release.RowsId
            ? SequenceDecision.Change(head with { Forks = head.Forks - 1, Recent = Without(head.Recent, release.RetainedBy) }, SequenceEventKind.ForkEnded)
            : SequenceDecision.Refuse(SequenceRefusal.NotFound, "There is no such fork.", head);

    /// <summary>A fork that was never opened is forgotten, so that it may be asked for once more with the same request id.</summary>
    private static ImmutableArray<RememberedRequest> Without(ImmutableArray<RememberedRequest> recent, ulong requestId) =>
        requestId == 0 ? recent : recent.RemoveAll(request => request.RequestId == requestId);

    /// <summary>A closed sequence whose rows are still shared keeps its name until the last fork is gone.</summary>
    private static SequenceDecision? RefuseName(SequenceHead? head) => head is { Forks: > 0 }
        ? SequenceDecision.Refuse(SequenceRefusal.Closed, $"The sequence was closed and {head.Forks} forks share its rows; its name is free when they have ended.", head)
        : null;

    /// <summary>
    /// Epochs follow the time, so that an owner of an earlier life of the name holds none that is in force now, nor one of a history that a store lost.
    /// </summary>
    private static long NextEpoch(SequenceHead? before, long now) => Math.Max((before?.Epoch ?? 0) + 1, now);

    private static SequenceHead Begin(SequenceHead? before, long now, ulong rowsId) => new()
    {
        Epoch = NextEpoch(before, now),
        RowsId = rowsId,
        CreatedAt = now,
        TouchedAt = now,
    };
}
