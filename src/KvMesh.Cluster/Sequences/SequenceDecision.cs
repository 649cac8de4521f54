using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Sequences;

/// <summary>What a command comes to: the next head, new rows and news; or a refusal that changes nothing; or the repetition of what was done.</summary>
public readonly record struct SequenceDecision
{
    public SequenceRefusal Refusal { get; private init; }

    /// <summary>What a person should read about the refusal.</summary>
    public string Text { get; private init; }

    /// <summary>Head after the command: the next one, or the present one when nothing changes.</summary>
    public SequenceHead? Head { get; private init; }

    /// <summary>The row to be written behind the own ones; null: none.</summary>
    public SegmentRow? NewRow { get; private init; }

    public SequenceEventKind? Event { get; private init; }

    /// <summary>What the tenant's quota is charged; below zero where something comes back. Also of a command that the quota refuses.</summary>
    public SequenceUsage Cost { get; private init; }

    /// <summary>Whether the command was applied before; the head is as it is now, and nothing is written.</summary>
    public bool IsRepetition { get; private init; }

    public bool IsRefusal => Refusal != SequenceRefusal.None;

    /// <summary>Whether there is something to write.</summary>
    public bool IsChange => !IsRefusal && !IsRepetition;

    public static SequenceDecision Refuse(SequenceRefusal refusal, string text, SequenceHead? head = null) =>
        new() { Refusal = refusal, Text = text, Head = head };

    internal static SequenceDecision OverQuota(SequenceUsage cost, string text, SequenceHead? head) =>
        new() { Refusal = SequenceRefusal.QuotaExceeded, Text = text, Head = head, Cost = cost };

    public static SequenceDecision Repeat(SequenceHead head) => new() { Head = head, IsRepetition = true, Text = "" };

    public static SequenceDecision Change(SequenceHead head, SequenceEventKind news, SegmentRow? row = null) =>
        new() { Head = head, Event = news, NewRow = row, Text = "" };

    /// <summary>The same change with the head as it will be stored.</summary>
    internal SequenceDecision Finish(SequenceHead head, SequenceUsage cost) => this with { Head = head, Cost = cost };
}

/// <summary>Commands that hosts send each other's sequences, and no client.</summary>
internal sealed record RetainFork : SequenceCommand
{
    public long Blocks { get; init; }
}

/// <summary>A fork has ended, or was never opened.</summary>
internal sealed record ReleaseFork : SequenceCommand
{
    /// <summary>Rows that the fork shared: those of another life are not meant.</summary>
    public ulong RowsId { get; init; }

    /// <summary>Request id of a fork that was refused after all; 0: it was opened once.</summary>
    public ulong RetainedBy { get; init; }
}

/// <summary>Opens a fork with what its origin says of the blocks that they share.</summary>
internal sealed record OpenFork : SequenceCommand
{
    public required SequenceHead Parent { get; init; }

    public required SequenceOrigin Origin { get; init; }

    public required BlockHash LastHash { get; init; }

    public long Tokens { get; init; }

    public long Bytes { get; init; }

    public string Holder { get; init; } = "";

    public bool LosslessOnly { get; init; }
}
