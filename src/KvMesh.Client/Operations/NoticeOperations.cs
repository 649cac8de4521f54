using KvMesh.Protocol.Native;

namespace KvMesh.Client.Operations;

/// <summary>Gives a residence lease back. No answer is asked for: the generation of the descriptor tells what the bytes were worth.</summary>
internal sealed class ReleaseOperation(long[] leaseIds) : Operation
{
    public override Verb Verb => Verb.Release;

    public override bool WantsReply => false;

    public override void WriteHead(FrameWriter writer)
    {
        writer.WriteUInt32((uint)leaseIds.Length);
        foreach (var lease in leaseIds)
        {
            writer.WriteInt64(lease);
        }
    }

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader) => throw Nonsense("a release without reply was answered");
}

/// <summary>Tells the node that bytes of a block did not match.</summary>
internal sealed class ReportOperation(KeySelection keys) : Operation
{
    public override Verb Verb => Verb.Report;

    protected override int KeyCount => keys.Count;

    public override bool WantsReply => false;

    public override void WriteHead(FrameWriter writer) => keys.Write(writer);

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader) => throw Nonsense("a report without reply was answered");
}

/// <summary>Asks for a sign of life.</summary>
internal sealed class PingOperation : Operation
{
    public override Verb Verb => Verb.Ping;

    public override void WriteHead(FrameWriter writer)
    {
    }

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader) => reader.Skip(header.PayloadBytes);
}
