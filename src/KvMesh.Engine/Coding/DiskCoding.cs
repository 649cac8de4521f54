using KvMesh.Engine.Disk;

namespace KvMesh.Engine.Coding;

/// <summary>Both directions of the disk tier's coder.</summary>
internal sealed class DiskCoding(IPayloadCoder coder, DiskTier disk, CodingCounters counters, double encodeShare, TimeProvider time) : IDisposable
{
    /// <summary>One thread at a time: the one that writes blocks to disk.</summary>
    public PayloadEncoder Encoder { get; } = new(coder, counters, new EncodeBudget(encodeShare, time), time);

    /// <summary>Any thread.</summary>
    public PayloadDecoder Decoder { get; } = new(coder, disk, counters, time);

    /// <summary>Null without a coder.</summary>
    public static DiskCoding? For(IPayloadCoder? coder, DiskTier disk, CodingCounters counters, double encodeShare, TimeProvider time) =>
        coder is null ? null : new DiskCoding(coder, disk, counters, encodeShare, time);

    public void Dispose()
    {
        Encoder.Dispose();
        Decoder.Dispose();
    }
}
