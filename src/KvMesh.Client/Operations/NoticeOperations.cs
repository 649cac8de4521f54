using KvMesh.Client.Connections;
using KvMesh.Protocol.Native;

namespace KvMesh.Client.Operations;

/// <summary>Gives residence leases back. No answer is asked for.</summary>
internal sealed class ReleaseOperation(long[] leaseIds) : Operation
{
    private long[] _leaseIds = leaseIds;

    /// <summary>One that takes what there is to give back when it is written: a request that is written before it has taken that along.</summary>
    public ReleaseOperation()
        : this([])
    {
    }

    public override Verb Verb => Verb.Release;

    public override bool WantsReply => false;

    public override bool TryCarry(ReturnedLeases returned)
    {
        if (_leaseIds.Length == 0)
        {
            _leaseIds = returned.TakeAll();
            return true;
        }

        return false;
    }

    public override void WriteHead(FrameWriter writer)
    {
        writer.WriteUInt32((uint)_leaseIds.Length);
        foreach (var lease in _leaseIds)
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
