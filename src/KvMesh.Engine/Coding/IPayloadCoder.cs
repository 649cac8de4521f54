using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Coding;

/// <summary>
/// Writes payloads of one tier in fewer bytes and reads them back. The engine knows blocks and no tensors: whoever does implements this.
/// Any thread calls any member at any time. The engine trusts nothing that comes back: what was encoded is decoded again and
/// compared before it is kept, and what is decoded is compared with the block's checksums before anybody reads it.
/// </summary>
public interface IPayloadCoder
{
    /// <summary>Whether the block is to be encoded for this tier. Quick, without I/O: it is asked for each block that is written.</summary>
    /// <param name="block">The block.</param>
    /// <param name="maxBytes">Most bytes that <see cref="Encode"/> writes for it; 0 unless the advice is to encode.</param>
    CodingAdvice Advise(in CodedBlock block, out int maxBytes);

    /// <summary>
    /// Encodes a payload, so that every bit comes back or, unless <see cref="CodedBlock.MustBeExact"/> says no, with a loss that was measured and is
    /// within the policy. What it writes decodes to the same bytes on every machine.
    /// </summary>
    /// <param name="block">What was asked about.</param>
    /// <param name="payload">Its bytes.</param>
    /// <param name="destination">At least the bytes that the advice said.</param>
    /// <returns>What was written; no bytes when it could not be.</returns>
    EncodedPayload Encode(in CodedBlock block, ReadOnlySpan<byte> payload, Span<byte> destination);

    /// <summary>Whether the tier takes a block as a codec wrote it for another tier of this node, so that nobody decodes and encodes it again.</summary>
    /// <param name="block">The block.</param>
    /// <param name="codec">Kind of the codec.</param>
    bool Accepts(in CodedBlock block, ushort codec) => false;

    /// <summary>
    /// Decodes what <see cref="Encode"/> wrote, in this process or an earlier one, under this policy or another.
    /// </summary>
    /// <param name="encoded">Bytes off a disk: their checksums agreed, and nothing else is known of them.</param>
    /// <param name="payload">Exactly the bytes of the block.</param>
    /// <param name="codec">Name of the codec that wrote them; empty when that is not known.</param>
    /// <returns>False when they do not decode to so many bytes; the payload may hold anything then.</returns>
    bool TryDecode(ReadOnlySpan<byte> encoded, Span<byte> payload, out string codec);

    /// <summary>As <see cref="TryDecode"/>, of what was just encoded, to prove it: with the threads of the encoding.</summary>
    /// <param name="encoded">What <see cref="Encode"/> wrote.</param>
    /// <param name="payload">Exactly the bytes of the block.</param>
    bool TryReadBack(ReadOnlySpan<byte> encoded, Span<byte> payload) => TryDecode(encoded, payload, out _);

    /// <summary>What threads besides the callers' own spent on encoding and reading back since this was asked last: it counts against the caller's budget.</summary>
    TimeSpan TakeHelperTime() => TimeSpan.Zero;

    /// <summary>The engine stops: an encoding that is at work may end without a result, and so do later ones. Decoding goes on.</summary>
    void StopEncoding()
    {
    }
}

/// <summary>What a coder says of a block.</summary>
public enum CodingAdvice
{
    /// <summary>The policy wants it as it is.</summary>
    Raw,

    /// <summary>The policy wants it encoded, and so it can be.</summary>
    Encode,

    /// <summary>The policy wants it encoded, but nothing is known of what its bytes mean.</summary>
    UnknownLayout,

    /// <summary>The policy wants it encoded, and it is not as long as a block of its layout.</summary>
    WrongSize,
}

/// <summary>What a coder is told of a block besides its bytes.</summary>
public readonly ref struct CodedBlock
{
    /// <summary>Longest companion that is shown.</summary>
    public const int MaxCompanionBytes = 512;

    public string Tenant { get; init; }

    /// <summary>Name of the model as its writer gave it; empty when unknown.</summary>
    public string Model { get; init; }

    public ReadOnlySpan<byte> Key { get; init; }

    public int PayloadBytes { get; init; }

    /// <summary>Whether every bit must come back: the block may not be kept lossily, or is lossy already, and nothing is lost twice.</summary>
    public bool MustBeExact { get; init; }

    /// <summary>What a client wrote to describe the block, when it is short and in RAM. Nobody has looked at it.</summary>
    public ReadOnlySpan<byte> Companion { get; init; }
}

/// <summary>What an encoding came to.</summary>
/// <param name="Bytes">Bytes written; 0: it could not be encoded.</param>
/// <param name="Codec">Kind of the codec, as it is kept with the bytes; never 0.</param>
/// <param name="Name">Name of the codec, for figures.</param>
public readonly record struct EncodedPayload(int Bytes, ushort Codec, string Name)
{
    /// <summary>What is lost; null: every bit comes back.</summary>
    public Loss? Loss { get; init; }

    /// <summary>Codecs that were wanted more and lost more than the policy allows.</summary>
    public int OverCeiling { get; init; }
}
