using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Sequences;

/// <summary>What holds for every sequence of a cluster, and which commands make sense at all.</summary>
public sealed record SequenceRules
{
    /// <summary>Idle limit of sequences that name none.</summary>
    public TimeSpan DefaultIdleLimit { get; init; } = TimeSpan.FromDays(1);

    /// <summary>Lifetime of sequences that name none, and the longest that can be named.</summary>
    public TimeSpan MaxLifetime { get; init; } = TimeSpan.FromDays(30);

    /// <summary>How long a closed sequence is remembered, so that late commands learn that it was closed.</summary>
    public TimeSpan ClosedRetention { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Shortest idle limit and lifetime: the index of a store follows the heads with a delay of seconds.</summary>
    public static TimeSpan ShortestLimit => TimeSpan.FromSeconds(1);

    /// <summary>Names what is wrong with a command: field, value, limit. Null: it makes sense.</summary>
    public string? Check(SequenceCommand command) => command switch
    {
        _ when command.Epoch < 0 => $"epoch is {command.Epoch}; it must be 0 or more.",
        OpenSequence open => Check(open),
        AppendSegment append => Check(append),
        ForkSequence fork => Check(fork),
        PinSequence { Replicas: < 0 or > SequenceLimits.MaxReplicas } pin => $"replicas is {pin.Replicas}; it must be 0 to {SequenceLimits.MaxReplicas}.",
        ConfirmPin { Copies: < 0 or > byte.MaxValue } confirm => $"copies is {confirm.Copies}; it must be 0 to {byte.MaxValue}.",
        ParkSequence park => CheckHolder("nextHolder", park.NextHolder) ?? (park.ReturnAt < 0 ? $"returnAt is {park.ReturnAt}; it must be 0 or more." : null),
        ResumeSequence resume => CheckHolder("holder", resume.Holder),
        _ => null,
    };

    private static string? CheckHolder(string field, string holder)
    {
        var bytes = System.Text.Encoding.UTF8.GetByteCount(holder);
        return bytes > SequenceLimits.MaxHolderBytes ? $"{field} has {bytes} bytes; the limit is {SequenceLimits.MaxHolderBytes}."
            : holder.Any(char.IsControl) ? $"{field} contains a control character; it must be printable text."
            : null;
    }

    private static string? Check(AppendSegment append)
    {
        if (append.Blocks is 0 or > SequenceLimits.MaxSegmentBlocks)
        {
            return $"blocks is {append.Blocks}; it must be 1 to {SequenceLimits.MaxSegmentBlocks}.";
        }

        if (append.LastHash == BlockHash.Root || append.FirstHash == BlockHash.Root)
        {
            return "firstHash and lastHash must not be zero: that is the root, before the first block.";
        }

        if (append.Blocks == 1 != (append.FirstHash == append.LastHash))
        {
            return $"firstHash and lastHash are {(append.Blocks == 1 ? "different" : "equal")} for {append.Blocks} blocks; a run of one block has one hash, a longer one two.";
        }

        return append.Bytes > long.MaxValue / 4096 ? $"bytes is {append.Bytes}; the limit is {long.MaxValue / 4096}." : null;
    }

    private static string? Check(ForkSequence fork) =>
        !SequenceLimits.IsName(fork.Target, out var error) ? $"target: {error}"
        : fork.Blocks is < 0 or > SequenceLimits.MaxBlocks ? $"blocks is {fork.Blocks}; it must be 0 to {SequenceLimits.MaxBlocks}."
        : CheckHolder("holder", fork.Holder);

    private string? Check(OpenSequence open)
    {
        if (open.Scope.Length > SequenceLimits.MaxScopeBytes)
        {
            return $"scope has {open.Scope.Length} bytes; the limit is {SequenceLimits.MaxScopeBytes}.";
        }

        if (!BlockScope.IsWellFormed(open.Scope.Span))
        {
            return "scope is not 01 ‖ u8 ‖ model ‖ u8 ‖ revision ‖ layout hash (32) ‖ part (4).";
        }

        if (open.Parts is < 1 or > SequenceLimits.MaxParts)
        {
            return $"parts is {open.Parts}; it must be 1 to {SequenceLimits.MaxParts}.";
        }

        return CheckHolder("holder", open.Holder) ?? CheckLimit("idleLimit", open.IdleLimit) ?? CheckLimit("lifetime", open.Lifetime);
    }

    private string? CheckLimit(string field, TimeSpan limit) => limit == TimeSpan.Zero || (limit >= ShortestLimit && limit <= MaxLifetime)
        ? null
        : $"{field} is {limit.TotalSeconds:0.###} s; it must be {ShortestLimit.TotalSeconds:0} to {MaxLifetime.TotalSeconds:0} s, or 0 for the default.";
}
