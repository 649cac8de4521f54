using KvMesh.Codecs.Layouts;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;
using KvMesh.Worker.Model.Cache;

namespace KvMesh.Worker.Mesh;

/// <summary>
/// The canonical parts of blocks: groups of heads, each a block of its own in the mesh, with all layers in order. A layer of a part is one section. Who computes with how many
/// shards is in no key: a shard writes the parts of its heads, and a reader takes those that it needs.
/// </summary>
internal sealed class BlockParts
{
    private readonly KvPageFormat _format;
    private readonly BlockScope[] _scopes;
    private readonly int _heads;

    /// <param name="format">Blocks in memory, layer after layer and head after head.</param>
    /// <param name="model">Name of the model in keys.</param>
    /// <param name="revision">Revision of its weights in keys.</param>
    /// <param name="count">Parts of a block; the model's KV heads are a multiple of it.</param>
    public BlockParts(KvPageFormat format, string model, string revision, int count)
    {
        if (count < 1 || format.KvHeads % count != 0)
        {
            throw new ArgumentException($"Parts is {count}; it must divide the {format.KvHeads} KV heads of the model.");
        }

        if (format.Order != BlockOrder.LayerPartHeadToken || format.HoldsSingles)
        {
            throw new ArgumentException($"blocks in order {format.Order}{(format.HoldsSingles ? " of singles" : "")} are not cut into parts.");
        }

        _format = format;
        _heads = format.KvHeads / count;
        if (!ProgressiveLimits.IsValid((long)SectionBytes * Layers, SectionBytes))
        {
            throw new ArgumentException($"a part of a block has {(long)SectionBytes * Layers} bytes in {Layers} layers; at most {Limits.MaxBlockBytes} in {ProgressiveLimits.MaxSections}: take fewer BlockTokens or more Parts.");
        }

        // Parts of another number are other blocks, and get other keys.
        _scopes = [.. Enumerable.Range(0, count).Select(part => new BlockScope(model, revision, format.Layout.Hash, (uint)(((count - 1) << 16) | part)))];
    }

    public int Count => _scopes.Length;

    public int Layers => _format.Layers;

    public ReadOnlySpan<byte> LayoutHash => _format.Layout.Hash;

    /// <summary>Bytes of a layer of a part.</summary>
    public int SectionBytes => 2 * TensorBytes;

    public int PartBytes => SectionBytes * Layers;

    private int TensorBytes => _heads * _format.BlockTokens * _format.RowBytes;

    public BlockScope Scope(int part) => _scopes[part];

    public void CopyOut(ReadOnlySpan<byte> block, int part, int layer, Span<byte> section)
    {
        block.Slice(_format.KeyOffset(layer, part * _heads, 0), TensorBytes).CopyTo(section);
        block.Slice(_format.ValueOffset(layer, part * _heads, 0), TensorBytes).CopyTo(section[TensorBytes..]);
    }

    public void CopyIn(ReadOnlySpan<byte> section, int part, int layer, Span<byte> block)
    {
        section[..TensorBytes].CopyTo(block[_format.KeyOffset(layer, part * _heads, 0)..]);
        section.Slice(TensorBytes, TensorBytes).CopyTo(block[_format.ValueOffset(layer, part * _heads, 0)..]);
    }
}
