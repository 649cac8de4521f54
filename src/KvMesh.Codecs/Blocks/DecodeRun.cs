using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Blocks;

/// <summary>Decodes the tensors of a block.</summary>
internal sealed unsafe class DecodeRun(CodingCrew crew) : SharedRun(crew)
{
    private BlockGeometry _geometry = null!;
    private KvCodec _codec = null!;
    private byte* _bytes;
    private byte* _destination;
    private int _byteCount;
    private int _destinationBytes;
    private int _result;

    /// <summary>As <see cref="BlockDecoder.Decode"/>.</summary>
    public DecodeResult Decode(CodecRegistry registry, ReadOnlySpan<byte> bytes, BlockGeometry geometry, Span<byte> destination, int helpers, CodecScratch scratch)
    {
        var result = BlockDecoder.TryOpen(registry, bytes, geometry, destination, out _, out var codec);
        if (result != DecodeResult.Ok)
        {
            return result;
        }

        (_geometry, _codec, _result) = (geometry, codec!, (int)DecodeResult.Ok);

        // Spans cannot be kept for helpers; the memory stays where it is until the run is over.
        fixed (byte* source = bytes)
        fixed (byte* target = destination)
        {
            _bytes = source;
            _byteCount = bytes.Length;
            _destination = target;
            _destinationBytes = destination.Length;
            try
            {
                Run(geometry.Planes.Length, helpers, scratch);
            }
            finally
            {
                _bytes = _destination = null;
            }
        }

        return (DecodeResult)_result;
    }

    protected override void DoParts(CodecScratch scratch)
    {
        // The header was verified by the caller; opening it again, once for each thread, costs little beside a tensor.
        var result = EncodedBlock.TryOpen(new ReadOnlySpan<byte>(_bytes, _byteCount), out var block);
        while (result == DecodeResult.Ok && TryTake(out var index))
        {
            result = BlockDecoder.DecodePlane(_codec, block, _geometry, index, new Span<byte>(_destination, _destinationBytes), scratch);
        }

        if (result != DecodeResult.Ok)
        {
            Interlocked.CompareExchange(ref _result, (int)result, (int)DecodeResult.Ok);
            TakeAll();
        }
    }
}
