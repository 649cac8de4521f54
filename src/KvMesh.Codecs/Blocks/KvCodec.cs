using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Blocks;

/// <summary>
/// One way to write strips in fewer bytes. The frame around it (<see cref="BlockEncoder"/>, <see cref="BlockDecoder"/>) keeps header,
/// sections, checksums, first and last tokens raw, strips that cannot be coded, and the measured error; a codec sees one strip at a time.
/// Instances are immutable and serve any number of threads, each with its own <see cref="CodecScratch"/>.
/// </summary>
public abstract class KvCodec
{
    /// <summary>What <see cref="Encode"/> returns for a strip that it cannot code; the frame stores it as it is.</summary>
    public const int NotCoded = -1;

    /// <summary>Most bytes of <see cref="Parameters"/>: two bytes for each tensor of the deepest layout, with room to spare.</summary>
    public const int MaxParameterBytes = 8192;

    /// <summary>Most refinements of a strip.</summary>
    public const int MaxRefinements = 3;

    /// <summary>The kind of coding, under which a <see cref="CodecRegistry"/> finds it again.</summary>
    public abstract CodecId Id { get; }

    /// <summary>Version of the bytes it writes. A codec reads all versions it ever wrote.</summary>
    public virtual byte Version => 1;

    /// <summary>Short name with its parameters, as <c>kivi4-g64</c>: lower case, digits, points and hyphens.</summary>
    public abstract string Name { get; }

    /// <summary>Whether every bit comes back.</summary>
    public virtual bool IsLossless => false;

    /// <summary>Everything besides the encoded bytes that a decoder needs; tables of a model by a hash that names them.</summary>
    public virtual ReadOnlyMemory<byte> Parameters => default;

    /// <summary>Strips are multiples of this many tokens; what is left at the end of a block stays raw.</summary>
    public virtual int TokenMultiple => 1;

    /// <summary>Whether a strip is the rows of all heads of a tensor side by side. Such sections cannot be sharded anew without decoding.</summary>
    public virtual bool JoinsHeads => false;

    /// <summary>Whether <see cref="MaxStripBytes"/> is what every strip takes.</summary>
    public virtual bool IsFixedSize => true;

    /// <summary>
    /// Parts of a strip behind its base that make it better and that it decodes without. The frame writes the base of all strips before their
    /// first refinements and so on, so that a block may end behind any of them.
    /// </summary>
    public virtual int Refinements => 0;

    /// <summary>Whether it codes a tensor of this shape; others stay as they are.</summary>
    public virtual bool Codes(in PlaneShape plane) =>
        plane is { Element: not KvElement.Opaque, TailBytes: 0 } && (IsLossless || plane.Kind != PlaneKind.LatentRope);

    /// <summary>Most bytes that a strip takes.</summary>
    public abstract int MaxStripBytes(in StripShape shape);

    /// <summary>Writes a strip to the start of <paramref name="destination"/>. A lossy codec is given finite numbers only.</summary>
    /// <param name="shape">Shape of the strip; its tokens are a multiple of <see cref="TokenMultiple"/>.</param>
    /// <param name="source">The rows.</param>
    /// <param name="destination">At least <see cref="MaxStripBytes"/>; what it holds is unknown.</param>
    /// <param name="scratch">Working memory; says which instructions to use.</param>
    /// <returns>Bytes written, or <see cref="NotCoded"/> for a shape or for numbers that it cannot code.</returns>
    public abstract int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch);

    /// <summary>Reads a strip back. All of <paramref name="source"/> is the strip; nothing in it is to be trusted.</summary>
    /// <returns>False when the bytes are not ones that this codec wrote; rows may then hold anything.</returns>
    public abstract bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch);

    /// <summary>As <see cref="TryDecode"/>, of a strip that ends behind so many refinements.</summary>
    internal virtual bool TryDecodeRefined(in StripShape shape, ReadOnlySpan<byte> source, int refinements, in StripTarget target, CodecScratch scratch) =>
        TryDecode(shape, source, target, scratch);

    /// <summary>Bytes of the base and of each refinement of a strip that this codec has just written.</summary>
    internal virtual void MeasureRefinements(ReadOnlySpan<byte> strip, Span<int> parts) => parts[0] = strip.Length;

    public sealed override string ToString() => Name;
}
