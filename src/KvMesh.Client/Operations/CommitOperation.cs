using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client.Operations;

/// <summary>Stores a block whose bytes are in the connection's staging file. Without a checksum, what the node reads there is what counts.</summary>
internal sealed class CommitOperation(KeySelection key, ReadOnlyMemory<byte> parentHash, long offset, int payloadBytes, uint? tableChecksum) : Operation
{
    public override Verb Verb => Verb.Commit;

    protected override bool LosslessOnly => key.LosslessOnly;

    public PutStatus Status { get; private set; } = PutStatus.Failed;

    public override void WriteHead(FrameWriter writer)
    {
        new CommitRequest
        {
            TableChecksum = tableChecksum,
            Offset = (ulong)offset,
            PayloadBytes = (uint)payloadBytes,
            ParentHash = parentHash.Span,
        }.Write(writer);
        key.Write(writer);
    }

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader)
    {
        reader.Skip(header.PayloadBytes);
        Status = PutOperation.Translate(header.Status);
    }
}
