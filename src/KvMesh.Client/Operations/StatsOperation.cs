using KvMesh.Protocol.Native;

namespace KvMesh.Client.Operations;

/// <summary>Asks for the node's figures.</summary>
internal sealed class StatsOperation : Operation
{
    /// <summary>Longest answer taken; the node's figures are a few kilobytes.</summary>
    private const int MaxJsonBytes = 1024 * 1024;

    public override Verb Verb => Verb.Stats;

    public byte[] Json { get; private set; } = [];

    public override void WriteHead(FrameWriter writer)
    {
    }

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader)
    {
        if (header.PayloadBytes > MaxJsonBytes)
        {
            throw Nonsense($"{header.PayloadBytes} bytes of figures, at most {MaxJsonBytes} are taken");
        }

        Json = new byte[(int)header.PayloadBytes];
        reader.Receive(Json);
    }
}
