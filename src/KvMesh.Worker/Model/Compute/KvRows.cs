using System.Runtime.InteropServices;
using KvMesh.Codecs.Numerics;
using KvMesh.Worker.Model.Cache;

namespace KvMesh.Worker.Model.Compute;

/// <summary>Reads and writes keys and values of one head in the pages of a sequence, as singles.</summary>
internal static unsafe class KvRows
{
    public static void WriteKey(IKvPages pages, int layer, int head, int token, float* values) =>
        Write(pages, pages.Format.KeyOffset(layer, head, token % pages.Format.BlockTokens), token, values);

    public static void WriteValue(IKvPages pages, int layer, int head, int token, float* values) =>
        Write(pages, pages.Format.ValueOffset(layer, head, token % pages.Format.BlockTokens), token, values);

    public static void ReadKey(IKvPages pages, int layer, int head, int token, float* values) =>
        Read(pages, pages.Format.KeyOffset(layer, head, token % pages.Format.BlockTokens), token, values);

    public static void ReadValue(IKvPages pages, int layer, int head, int token, float* values) =>
        Read(pages, pages.Format.ValueOffset(layer, head, token % pages.Format.BlockTokens), token, values);

    private static void Write(IKvPages pages, int offset, int token, float* values)
    {
        var format = pages.Format;
        var row = pages.Block(token / format.BlockTokens).Slice(offset, format.RowBytes);
        var source = new ReadOnlySpan<float>(values, format.HeadChannels);
        if (format.HoldsSingles)
        {
            source.CopyTo(MemoryMarshal.Cast<byte, float>(row));
            return;
        }

        ElementConversion.FromSingle(format.Layout.Element, source, row, SimdLevels.Best);
    }

    private static void Read(IKvPages pages, int offset, int token, float* values)
    {
        var format = pages.Format;
        var row = pages.Block(token / format.BlockTokens).Slice(offset, format.RowBytes);
        var target = new Span<float>(values, format.HeadChannels);
        if (format.HoldsSingles)
        {
            MemoryMarshal.Cast<byte, float>(row).CopyTo(target);
            return;
        }

        ElementConversion.ToSingle(format.Layout.Element, row, target, SimdLevels.Best);
    }
}
