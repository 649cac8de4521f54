namespace KvMesh.Protocol.Coding;

/// <summary>
/// Decodes payloads as nodes keep them, so that they travel in fewer bytes. Who knows tensors implements it (<c>KvMesh.Codecs.Payloads.PayloadDecoder</c>); who
/// reads blocks is given one. What it decodes is compared with the block's checksums afterwards: it need not be right to be safe. Any thread calls any
/// member at any time.
/// </summary>
public interface IPayloadDecoder
{
    /// <summary>The kinds of codecs that it knows. A node sends others as they are.</summary>
    CodecKinds Kinds { get; }

    /// <summary>Decodes a payload.</summary>
    /// <param name="codec">Kind of the codec that wrote it.</param>
    /// <param name="encoded">What a node sent; its checksums agreed, and nothing else is known of it.</param>
    /// <param name="payload">Exactly the bytes of the block.</param>
    /// <returns>False when it cannot be decoded here; the payload may hold anything then.</returns>
    bool TryDecode(ushort codec, ReadOnlySpan<byte> encoded, Span<byte> payload);
}
