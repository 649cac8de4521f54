using KvMesh.Protocol.Native;

namespace KvMesh.Client.Operations;

/// <summary>A question or an order about each of several keys, answered by one bit each: exists and remove.</summary>
internal sealed class BitsOperation : Operation
{
    private readonly KeySelection _keys;
    private readonly Memory<bool> _results;
    private readonly bool _isExists;

    private BitsOperation(KeySelection keys, Memory<bool> results, bool isExists)
    {
        _keys = keys;
        _results = results;
        _isExists = isExists;
    }

    public override Verb Verb => _isExists ? Verb.Exists : Verb.Remove;

    protected override bool LosslessOnly => _keys.LosslessOnly;

    public int Count { get; private set; }

    public static BitsOperation Exists(KeySelection keys, Memory<bool> present) => new(keys, present, isExists: true);

    public static BitsOperation Remove(KeySelection keys, Memory<bool> removed) => new(keys, removed, isExists: false);

    protected override int KeyCount => _keys.Count;

    public override void WriteHead(FrameWriter writer)
    {
        if (_isExists)
        {
            // No lease: whoever wants one asks for a match.
            writer.WriteUInt32(0);
        }

        _keys.Write(writer);
    }

    protected override void ReadFrame(in FrameHeader header, in ResponseReader head)
    {
        var reader = new HeadReader(head.Head);
        reader.ReadUInt32();
        var bits = reader.ReadBytes((_keys.Count + 7) / 8);
        if (!reader.IsComplete || header.PayloadBytes != 0)
        {
            throw Nonsense($"{head.Head.Length} bytes for {_keys.Count} keys");
        }

        Count = 0;
        var results = _results.Span;
        for (var index = 0; index < results.Length; index++)
        {
            results[index] = (bits[index / 8] >> (index % 8) & 1) != 0;
            Count += results[index] ? 1 : 0;
        }
    }
}
