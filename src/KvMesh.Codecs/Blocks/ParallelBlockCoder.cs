using System.Collections.Concurrent;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Blocks;

/// <summary>
/// Encodes and decodes the tensors of a block on several threads at once; bytes and numbers are those of <see cref="BlockEncoder"/> and
/// <see cref="BlockDecoder"/>, whatever their number. The caller works too and waits; threads of the pool help it. Any number of callers may share one
/// coder. Allocates nothing once warm.
/// </summary>
/// <param name="threads">
/// Most threads at work, those of all callers included: helpers join only while there are fewer. Callers are never made to wait for each other. At least 1.
/// </param>
/// <param name="time">Measures how long helpers work.</param>
public sealed class ParallelBlockCoder(int threads, TimeProvider time)
{
    /// <summary>Bytes of a block for each thread: less is done before a thread that sleeps is awake.</summary>
    public const int MinBytesForThread = 512 * 1024;

    private readonly CodingCrew _crew = new(threads, time);
    private readonly int _bytesForThread = MinBytesForThread;
    private readonly ConcurrentBag<EncodeRun> _encodings = [];
    private readonly ConcurrentBag<DecodeRun> _decodings = [];

    /// <summary>With another number of bytes for each thread, at least 1.</summary>
    internal ParallelBlockCoder(int threads, TimeProvider time, int bytesForThread)
        : this(threads, time) => _bytesForThread = bytesForThread;

    /// <summary>As <see cref="BlockEncoder.Encode"/>.</summary>
    /// <param name="codec">How.</param>
    /// <param name="geometry">Where everything lies in <paramref name="block"/>; it begins with its block's first token.</param>
    /// <param name="block">Exactly the bytes of the geometry.</param>
    /// <param name="firstPosition">Position of the first token in its sequence.</param>
    /// <param name="options">What else is wanted.</param>
    /// <param name="destination">At least <see cref="BlockEncoder.MaxBytes"/>.</param>
    /// <returns>Bytes written; 0 after <see cref="Stop"/>.</returns>
    public int Encode(KvCodec codec, BlockGeometry geometry, ReadOnlySpan<byte> block, long firstPosition, in EncodeOptions options, Span<byte> destination)
    {
        if (_crew.IsStopped)
        {
            return 0;
        }

        var helpers = HelpersFor(geometry);
        var scratch = Begin();
        try
        {
            if (helpers == 0)
            {
                return BlockEncoder.Encode(codec, geometry, block, firstPosition, options, destination, scratch);
            }

            var run = _encodings.TryTake(out var idle) ? idle : new EncodeRun(_crew);
            var bytes = run.Encode(codec, geometry, block, firstPosition, options, destination, helpers, scratch);
            _encodings.Add(run);
            return bytes;
        }
        finally
        {
            End(scratch);
        }
    }

    /// <summary>As <see cref="BlockDecoder.Decode"/>.</summary>
    /// <param name="registry">Where the codec is looked for.</param>
    /// <param name="bytes">The encoded block.</param>
    /// <param name="geometry">The part that is wanted.</param>
    /// <param name="destination">Exactly the bytes of the geometry; it may hold anything unless the result is ok.</param>
    public DecodeResult Decode(CodecRegistry registry, ReadOnlySpan<byte> bytes, BlockGeometry geometry, Span<byte> destination)
    {
        var helpers = HelpersFor(geometry);
        var scratch = Begin();
        try
        {
            if (helpers == 0)
            {
                return BlockDecoder.Decode(registry, bytes, geometry, destination, scratch);
            }

            var run = _decodings.TryTake(out var idle) ? idle : new DecodeRun(_crew);
            var result = run.Decode(registry, bytes, geometry, destination, helpers, scratch);
            _decodings.Add(run);
            return result;
        }
        finally
        {
            End(scratch);
        }
    }

    /// <summary>Time that helpers worked since this was asked last; the callers' own is not in it.</summary>
    public TimeSpan TakeHelperTime() => _crew.TakeHelperTime();

    /// <summary>No further tensor is encoded: what is at work ends without a result once those that were begun are done. Decoding goes on.</summary>
    public void Stop() => _crew.Stop();

    private int HelpersFor(BlockGeometry geometry) =>
        Math.Max(Math.Min(Math.Min(geometry.Bytes / _bytesForThread, geometry.Planes.Length) - 1, _crew.Idle), 0);

    private CodecScratch Begin()
    {
        _crew.Enter();
        return _crew.TakeScratch();
    }

    private void End(CodecScratch scratch)
    {
        _crew.Return(scratch);
        _crew.Leave();
    }
}
