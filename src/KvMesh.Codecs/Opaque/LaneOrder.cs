using KvMesh.Codecs.EntropyCoding;

namespace KvMesh.Codecs.Opaque;

/// <summary>
/// Puts bytes in an order in which each lane of a stream reads a run of them: the byte before is then one that the same lane has read
/// before, and all lanes go on at once. What is left over stays at the end.
/// </summary>
internal static class LaneOrder
{
    private const int Lanes = Rans.ManyLanes;

    public static void Spread(ReadOnlySpan<byte> bytes, Span<byte> ordered)
    {
        var run = bytes.Length / Lanes;
        for (var lane = 0; lane < Lanes; lane++)
        {
            var own = bytes.Slice(lane * run, run);
            var to = lane;
            foreach (var value in own)
            {
                ordered[to] = value;
                to += Lanes;
            }
        }

        bytes[(run * Lanes)..].CopyTo(ordered[(run * Lanes)..]);
    }

    public static void Gather(ReadOnlySpan<byte> ordered, Span<byte> bytes)
    {
        var run = bytes.Length / Lanes;
        for (var lane = 0; lane < Lanes; lane++)
        {
            var from = lane;
            foreach (ref var value in bytes.Slice(lane * run, run))
            {
                value = ordered[from];
                from += Lanes;
            }
        }

        ordered[(run * Lanes)..].CopyTo(bytes[(run * Lanes)..]);
    }
}
