using KvMesh.Protocol.Native;

namespace KvMesh.Client.Operations;

/// <summary>Asks which blocks the node wants.</summary>
internal sealed class OfferOperation(KeySelection keys, IReadOnlyList<ReadOnlyMemory<byte>> payloads, int first) : Operation
{
    private byte[] _answers = [];

    public override Verb Verb => Verb.Offer;

    protected override bool LosslessOnly => keys.LosslessOnly;

    protected override int KeyCount => keys.Count;

    public override void WriteHead(FrameWriter writer)
    {
        writer.WriteUInt32((uint)keys.Count);
        for (var index = 0; index < keys.Count; index++)
        {
            writer.WriteUInt32((uint)payloads[first + index].Length);
        }

        keys.Write(writer);
    }

    /// <summary>What the node said of one block.</summary>
    public NativeStatus Answer(int index) => (NativeStatus)_answers[index];

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader)
    {
        if (reader.Head.Length != keys.Count || header.PayloadBytes != 0)
        {
            throw Nonsense($"{reader.Head.Length} answers to an offer of {keys.Count} blocks");
        }

        _answers = reader.Head.ToArray();
    }
}
