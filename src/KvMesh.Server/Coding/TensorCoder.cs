using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;
using KvMesh.Codecs.Opaque;
using KvMesh.Codecs.Payloads;
using KvMesh.Engine.Coding;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Server.Coding;

/// <summary>
/// The engine's coder of one tier, over the codecs of tensors: it knows which block has which layout, and which codec is wanted for it. What it
/// writes says everything that reading it needs but the layout, whatever the policy is by then. Any thread.
/// </summary>
internal sealed class TensorCoder : IPayloadCoder
{
    /// <summary>Below it a block does not become shorter by a granule.</summary>
    private const int MinPayloadBytes = 8 * 1024;

    /// <summary>Heads whose loss is measured, spread over the block: a few tell it, and all would cost more than the encoding.</summary>
    private const int ProbedHeads = 8;

    private readonly StoredPayloads _payloads;
    private readonly BlockShapes _shapes;
    private readonly CodecPolicy _policy;
    private readonly ParallelBlockCoder _encoding;
    private readonly ParallelBlockCoder _promoting;

    /// <param name="book">Knows layouts.</param>
    /// <param name="policy">Knows which codec is wanted.</param>
    /// <param name="time">Measures.</param>
    /// <param name="threads">Most threads that encode at a time, besides callers: a large block's tensors are shared among them.</param>
    public TensorCoder(LayoutBook book, CodecPolicy policy, TimeProvider time, int threads = 1)
    {
        _encoding = new ParallelBlockCoder(threads, time);
        _promoting = new ParallelBlockCoder(Environment.ProcessorCount, time);
        _payloads = new StoredPayloads(book, CodecRegistry.Standard);
        _shapes = new BlockShapes(book, _payloads.Geometries);
        _policy = policy;
    }

    public CodingAdvice Advise(in CodedBlock block, out int maxBytes)
    {
        maxBytes = 0;
        if (_policy.IsRaw || block.PayloadBytes < MinPayloadBytes || !_policy.MayEncode(block.Tenant))
        {
            return CodingAdvice.Raw;
        }

        var status = _shapes.Find(block, out var shape);
        if (status != ShapeStatus.Known && _policy.EncodesOpaque(block.Tenant))
        {
            maxBytes = OpaqueCodec.MaxBytes(block.PayloadBytes);
            return CodingAdvice.Encode;
        }

        if (status == ShapeStatus.Unknown)
        {
            return CodingAdvice.UnknownLayout;
        }

        if (_policy.Find(block.Tenant, block.Model, shape.Name) is not { } chain || (block.MustBeExact && !chain.Codecs.Any(codec => codec.IsLossless)))
        {
            return CodingAdvice.Raw;
        }

        if (status == ShapeStatus.WrongSize)
        {
            return CodingAdvice.WrongSize;
        }

        var geometry = GeometryOf(shape);
        foreach (var codec in chain.Codecs)
        {
            maxBytes = Math.Max(maxBytes, CodedPreamble.Bytes + BlockEncoder.MaxBytes(codec, geometry));
        }

        return CodingAdvice.Encode;
    }

    public EncodedPayload Encode(in CodedBlock block, ReadOnlySpan<byte> payload, Span<byte> destination)
    {
        if (_shapes.Find(block, out var shape) != ShapeStatus.Known)
        {
            return _policy.EncodesOpaque(block.Tenant) ? EncodeOpaque(payload, destination) : default;
        }

        if (_policy.Find(block.Tenant, block.Model, shape.Name) is not { } chain)
        {
            return default;
        }

        shape.Part.Write(destination, shape.Layout.Hash);
        var geometry = GeometryOf(shape);
        var overCeiling = 0;
        bool? isFinite = null;
        foreach (var codec in chain.Codecs)
        {
            if (block.MustBeExact && !codec.IsLossless)
            {
                continue;
            }

            if (!codec.IsLossless && !(isFinite ??= FiniteNumbers.AreAllIn(geometry, payload)))
            {
                // Infinities and what is no number spoil all that is quantised with them, and their error has no measure.
                overCeiling++;
                continue;
            }

            // Where in its sequence a block begins is not known: each is taken for a first one, whose first tokens stay as they are.
            var options = new EncodeOptions { ProbedHeads = codec.IsLossless ? 0 : ProbedHeads };
            var bytes = _encoding.Encode(codec, geometry, payload, firstPosition: 0, options, destination[CodedPreamble.Bytes..]);
            if (bytes == 0)
            {
                return default;
            }

            var encoded = new EncodedPayload(CodedPreamble.Bytes + bytes, (ushort)codec.Id, codec.Name) { OverCeiling = overCeiling };
            if (codec.IsLossless)
            {
                return encoded;
            }

            var error = ErrorOf(destination.Slice(CodedPreamble.Bytes, bytes));
            if (!chain.IsTooMuch(error))
            {
                return encoded with { Loss = new Loss((ushort)codec.Id, error.Keys, error.Values, error.Outputs) };
            }

            overCeiling++;
        }

        return new EncodedPayload(0, 0, "") { OverCeiling = overCeiling };
    }

    public bool Accepts(in CodedBlock block, ushort codec) => _shapes.Find(block, out var shape) == ShapeStatus.Known
        ? _policy.Find(block.Tenant, block.Model, shape.Name)?.Codecs.Any(wanted => (ushort)wanted.Id == codec) == true
        : codec == (ushort)OpaqueCodec.Id && _policy.EncodesOpaque(block.Tenant);

    public bool TryDecode(ReadOnlySpan<byte> encoded, Span<byte> payload, out string codec) =>
        _payloads.TryDecode(encoded, payload, out codec, _promoting) == DecodeResult.Ok;

    public bool TryReadBack(ReadOnlySpan<byte> encoded, Span<byte> payload) =>
        _payloads.TryDecode(encoded, payload, out _, _encoding) == DecodeResult.Ok;

    public TimeSpan TakeHelperTime() => _encoding.TakeHelperTime();

    public void StopEncoding() => _encoding.Stop();

    private EncodedPayload EncodeOpaque(ReadOnlySpan<byte> payload, Span<byte> destination)
    {
        var scratch = _payloads.Take();
        try
        {
            var bytes = OpaqueSample.Pays(payload, scratch) ? OpaqueCodec.Encode(payload, destination, scratch) : 0;
            return bytes == 0 ? default : new EncodedPayload(bytes, (ushort)OpaqueCodec.Id, OpaqueCodec.Name);
        }
        finally
        {
            _payloads.Return(scratch);
        }
    }

    private static MeasuredError ErrorOf(ReadOnlySpan<byte> encoded) =>
        EncodedBlock.TryOpen(encoded, out var opened) == DecodeResult.Ok ? opened.Header.Error : MeasuredError.Unknown;

    private BlockGeometry GeometryOf(in BlockShape shape) => _payloads.Geometries.Find(shape.Layout, shape.Part)!;
}
