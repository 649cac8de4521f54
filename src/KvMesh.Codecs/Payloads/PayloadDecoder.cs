using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Opaque;
using KvMesh.Protocol.Coding;

namespace KvMesh.Codecs.Payloads;

/// <summary>
/// Decodes blocks as nodes send them, for clients: give it to their <c>ClientOptions.Decoder</c>. It knows all codecs, the built-in layouts and those that
/// blocks describe themselves; layouts of an operator's own file are given to it.
/// </summary>
/// <param name="layouts">Layouts that are not built in.</param>
public sealed class PayloadDecoder(params IEnumerable<KvLayout> layouts) : IPayloadDecoder
{
    private readonly StoredPayloads _payloads = new(new NamedLayouts(layouts), CodecRegistry.Standard);

    public CodecKinds Kinds { get; } = CodecKinds.Of([.. CodecRegistry.Standard.Ids.Select(id => (ushort)id), (ushort)OpaqueCodec.Id]);

    public bool TryDecode(ushort codec, ReadOnlySpan<byte> encoded, Span<byte> payload) =>
        Kinds.Contains(codec) && _payloads.TryDecode(encoded, payload, out _) == DecodeResult.Ok;

    private sealed class NamedLayouts(IEnumerable<KvLayout> layouts) : ILayoutSource
    {
        private readonly KvLayout[] _layouts = [.. layouts, .. KnownModels.Names.Select(name => KnownModels.Find(name)!)];

        public KvLayout? Find(ReadOnlySpan<byte> hash)
        {
            foreach (var layout in _layouts)
            {
                if (layout.Hash.SequenceEqual(hash))
                {
                    return layout;
                }
            }

            return null;
        }
    }
}
