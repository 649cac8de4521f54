using KvMesh.Protocol.Sequences;

namespace KvMesh.Client.Sequences;

/// <summary>What became of a command for a sequence.</summary>
/// <param name="Refusal">Why nothing changed; <see cref="SequenceRefusal.Unavailable"/> also when the node could not be reached.</param>
/// <param name="Sequence">The sequence after the command; null when it was refused.</param>
/// <param name="Text">The refusal in words.</param>
/// <param name="IsRepetition">The node had done the command before, under the same request id.</param>
public sealed record SequenceResult(SequenceRefusal Refusal, SequenceInfo? Sequence, string Text, bool IsRepetition = false)
{
    public bool IsOk => Refusal == SequenceRefusal.None;
}

/// <summary>What a resume gives: the sequence under its new epoch, and its first rows.</summary>
public sealed record SequenceGrant(SequenceRefusal Refusal, SequenceInfo? Sequence, IReadOnlyList<SegmentRow> Rows, string Text)
{
    public bool IsOk => Refusal == SequenceRefusal.None;
}

/// <summary>A page of rows. It may be shorter than asked for where an origin's rows end; ask on from the next index until <paramref name="Total"/>.</summary>
public sealed record SegmentPage(SequenceRefusal Refusal, int Total, int First, IReadOnlyList<SegmentRow> Rows, string Text)
{
    public bool IsOk => Refusal == SequenceRefusal.None;
}

/// <summary>A page of sequences, in order of names.</summary>
/// <param name="Next">What to list behind next; empty: that was all.</param>
public sealed record SequenceListing(SequenceRefusal Refusal, IReadOnlyList<SequenceInfo> Sequences, string Next, string Text)
{
    public bool IsOk => Refusal == SequenceRefusal.None;
}
