using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client.Operations;

/// <summary>Asks for events after a sequence number; the node waits a while when there are none.</summary>
internal sealed class WatchOperation(long afterSequence, TimeSpan wait) : Operation
{
    public override Verb Verb => Verb.Watch;

    public List<BlockChange> Changes { get; } = [];

    /// <summary>What to ask after next, once it was answered.</summary>
    public long NextAfter { get; private set; }

    public override void WriteHead(FrameWriter writer) =>
        new WatchRequest(afterSequence, NativeLimits.MaxWatchEvents, (uint)wait.TotalMilliseconds).Write(writer);

    protected override void ReadFrame(in FrameHeader header, in ResponseReader head)
    {
        var reader = new HeadReader(head.Head);
        var response = WatchResponse.Read(ref reader);
        if (response.HasGap)
        {
            Changes.Add(new BlockChange(response.NextAfter, BlockChangeKind.Gap, default, 0, 0));
        }

        for (var index = 0; index < response.Count && reader.IsValid; index++)
        {
            Changes.Add(ReadChange(ref reader));
        }

        if (!reader.IsComplete || header.PayloadBytes != 0)
        {
            throw Nonsense($"{response.Count} events in {head.Head.Length} bytes");
        }

        NextAfter = response.NextAfter;
    }

    private static BlockChange ReadChange(ref HeadReader reader)
    {
        var sequence = reader.ReadInt64();
        var kind = (BlockChangeKind)reader.ReadByte();
        int tiers = reader.ReadByte();
        var keyBytes = reader.ReadUInt16();
        var payloadBytes = reader.ReadUInt32();
        return new BlockChange(sequence, kind, reader.ReadBytes(keyBytes).ToArray(), payloadBytes, tiers);
    }
}
