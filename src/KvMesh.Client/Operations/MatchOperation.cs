using KvMesh.Protocol.Native;

namespace KvMesh.Client.Operations;

/// <summary>Asks how much of a chain the node has.</summary>
internal sealed class MatchOperation(KeySelection keys, uint leaseMilliseconds) : Operation
{
    public override Verb Verb => Verb.Match;

    protected override bool LosslessOnly => keys.LosslessOnly;

    public PrefixMatch Match { get; private set; }

    protected override int KeyCount => keys.Count;

    public override void WriteHead(FrameWriter writer)
    {
        writer.WriteUInt32(leaseMilliseconds);
        keys.Write(writer);
    }

    protected override void ReadFrame(in FrameHeader header, in ResponseReader head)
    {
        var reader = new HeadReader(head.Head);
        var blocks = reader.ReadUInt32();
        var elsewhere = reader.ReadUInt32();
        Match = new PrefixMatch((int)blocks, reader.ReadInt64(), (int)elsewhere);
        if (!reader.IsValid || blocks > keys.Count || elsewhere > blocks || header.PayloadBytes != 0)
        {
            throw Nonsense($"a match of {blocks} of {keys.Count} blocks");
        }
    }
}
