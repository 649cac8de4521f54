using System.Collections.Concurrent;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Opaque;

namespace KvMesh.Codecs.Payloads;

/// <summary>
/// Decodes payloads as nodes keep and send them: a preamble that says which part of which layout it is, and the encoded block. Any thread; working
/// memory is kept for the next who decodes.
/// </summary>
/// <param name="layouts">Knows the layouts that have names.</param>
/// <param name="registry">Knows the codecs.</param>
public sealed class StoredPayloads(ILayoutSource layouts, CodecRegistry registry)
{
    private readonly ConcurrentBag<CodecScratch> _scratches = [];

    public PayloadGeometries Geometries { get; } = new();

    /// <summary>Decodes a payload.</summary>
    /// <param name="encoded">Preamble and block; nothing is known of these bytes.</param>
    /// <param name="payload">Exactly the bytes of the block. It may hold anything unless the result is ok.</param>
    /// <param name="codec">Name of the codec that wrote them; empty when that is not known.</param>
    /// <param name="coder">Decodes tensors on several threads; null: the caller decodes them.</param>
    public DecodeResult TryDecode(ReadOnlySpan<byte> encoded, Span<byte> payload, out string codec, ParallelBlockCoder? coder = null)
    {
        if (OpaqueCodec.TryReadPayloadBytes(encoded, out _))
        {
            return DecodeOpaque(encoded, payload, out codec);
        }

        codec = "";
        if (!CodedPreamble.TryRead(encoded, out var part))
        {
            return DecodeResult.NotEncoded;
        }

        var hash = CodedPreamble.LayoutHash(encoded);
        if ((part.Shape.IsNone ? layouts.Find(hash) : Geometries.Described(part)) is not { } layout
            || Geometries.Find(layout, part) is not { } geometry || geometry.Bytes != payload.Length)
        {
            return DecodeResult.WrongLayout;
        }

        var block = encoded[CodedPreamble.Bytes..];
        var result = EncodedBlock.TryOpen(block, out var opened);
        if (result != DecodeResult.Ok)
        {
            return result;
        }

        if (!registry.TryFind(opened.Header, opened.Parameters, out var wrote))
        {
            return DecodeResult.UnknownCodec;
        }

        codec = wrote.Name;
        if (coder is not null)
        {
            return coder.Decode(registry, block, geometry, payload);
        }

        var scratch = Take();
        try
        {
            return BlockDecoder.Decode(registry, block, geometry, payload, scratch);
        }
        finally
        {
            Return(scratch);
        }
    }

    /// <summary>Payloads of which only the bytes are known say themselves what they are.</summary>
    private DecodeResult DecodeOpaque(ReadOnlySpan<byte> encoded, Span<byte> payload, out string codec)
    {
        codec = OpaqueCodec.Name;
        var scratch = Take();
        try
        {
            return OpaqueCodec.TryDecode(encoded, payload, scratch) ? DecodeResult.Ok : DecodeResult.Malformed;
        }
        finally
        {
            Return(scratch);
        }
    }

    /// <summary>Working memory for one thread; give it back with <see cref="Return"/>.</summary>
    public CodecScratch Take() => _scratches.TryTake(out var scratch) ? scratch : new CodecScratch();

    public void Return(CodecScratch scratch) => _scratches.Add(scratch);
}
