using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Client.Operations;

/// <summary>One request about a sequence.</summary>
internal abstract class SequenceOperation(Verb verb) : Operation
{
    public override Verb Verb => verb;

    /// <summary>The node's refusal of the command; None when it did it.</summary>
    public SequenceRefusal Refused { get; private set; }

    public string RefusalText { get; private set; } = "";

    protected sealed override void ReadFrame(in FrameHeader header, in ResponseReader response)
    {
        var reader = new HeadReader(response.Head);
        var isRead = true;
        if (header.Status == NativeStatus.SequenceRefused)
        {
            (Refused, RefusalText) = SequenceAnswers.ReadRefusal(ref reader);
            Refused = Refused == SequenceRefusal.None ? SequenceRefusal.Unavailable : Refused;
        }
        else
        {
            isRead = TryRead(ref reader);
        }

        if (!isRead || !reader.IsValid || header.PayloadBytes != 0)
        {
            throw Nonsense($"{response.Head.Length} bytes for {Verb}");
        }
    }

    protected abstract bool TryRead(ref HeadReader reader);
}

/// <summary>A command; its answer is the sequence, after a resume with rows.</summary>
internal sealed class SequenceCommandOperation(string name, SequenceCommand command) : SequenceOperation(SequenceRequests.VerbOf(command))
{
    public SequenceInfo? Info { get; private set; }

    public bool IsRepetition { get; private set; }

    public SegmentRow[] Rows { get; private set; } = [];

    public override void WriteHead(FrameWriter writer) => SequenceRequests.Write(writer, name, command);

    protected override bool TryRead(ref HeadReader reader)
    {
        Info = SequenceAnswers.ReadOne(ref reader, out var isRepetition);
        IsRepetition = isRepetition;
        if (command is not ResumeSequence)
        {
            return true;
        }

        var isRead = SequenceAnswers.TryReadRows(ref reader, out _, out _, out var rows);
        Rows = rows;
        return isRead;
    }
}

internal sealed class SequenceShowOperation(string name) : SequenceOperation(Verb.SequenceShow)
{
    public SequenceInfo? Info { get; private set; }

    public override void WriteHead(FrameWriter writer) => SequenceRequests.WritePrefix(writer, name);

    protected override bool TryRead(ref HeadReader reader)
    {
        Info = SequenceAnswers.ReadOne(ref reader, out _);
        return true;
    }
}

internal sealed class SequenceRowsOperation(string name, int first, int count) : SequenceOperation(Verb.SequenceRows)
{
    public int Total { get; private set; }

    public SegmentRow[] Rows { get; private set; } = [];

    public override void WriteHead(FrameWriter writer)
    {
        SequenceRequests.WritePrefix(writer, name);
        writer.WriteUInt32((uint)first);
        writer.WriteUInt32((uint)count);
    }

    protected override bool TryRead(ref HeadReader reader)
    {
        var isRead = SequenceAnswers.TryReadRows(ref reader, out var total, out _, out var rows);
        (Total, Rows) = (total, rows);
        return isRead;
    }
}

internal sealed class SequenceListOperation(string after, int count) : SequenceOperation(Verb.SequenceList)
{
    public List<SequenceInfo> Sequences { get; private set; } = [];

    public string Next { get; private set; } = "";

    public override void WriteHead(FrameWriter writer)
    {
        SequenceRequests.WritePrefix(writer, after);
        writer.WriteUInt32((uint)count);
    }

    protected override bool TryRead(ref HeadReader reader)
    {
        var isRead = SequenceAnswers.TryReadList(ref reader, out var sequences, out var next);
        (Sequences, Next) = (sequences, next);
        return isRead;
    }
}
