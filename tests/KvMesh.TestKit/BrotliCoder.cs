using System.IO.Compression;
using KvMesh.Engine.Coding;

namespace KvMesh.TestKit;

/// <summary>A coder that gives every bit back, of bytes that mean nothing to it, and that can be made to fail in the ways that coders fail.</summary>
public sealed class BrotliCoder : IPayloadCoder
{
    public const string Name = "brotli";

    public const ushort Id = 47;

    private int _encoded;
    private volatile bool _wasStopped;

    public CodingAdvice Advice { get; set; } = CodingAdvice.Encode;

    /// <summary>Changes what was encoded before it is handed over.</summary>
    public Action<byte[]>? SpoilsEncoded { get; set; }

    /// <summary>Changes what was decoded before it is handed over.</summary>
    public Action<byte[]>? SpoilsDecoded { get; set; }

    /// <summary>Runs before a payload is encoded, on the thread that does it.</summary>
    public Action<byte[]>? BeforeEncode { get; set; }

    /// <summary>Payloads that were encoded.</summary>
    public int Encoded => Volatile.Read(ref _encoded);

    /// <summary>What it says that others than its callers worked on each payload.</summary>
    public TimeSpan HelperTime { get; set; }

    /// <summary>Whether it was told to encode no more.</summary>
    public bool WasStopped => _wasStopped;

    /// <summary>Says that nothing can be decoded.</summary>
    public bool Forgets { get; set; }

    public CodingAdvice Advise(in CodedBlock block, out int maxBytes)
    {
        maxBytes = Advice == CodingAdvice.Encode ? BrotliEncoder.GetMaxCompressedLength(block.PayloadBytes) : 0;
        return Advice;
    }

    public EncodedPayload Encode(in CodedBlock block, ReadOnlySpan<byte> payload, Span<byte> destination)
    {
        Interlocked.Increment(ref _encoded);
        var source = payload.ToArray();
        BeforeEncode?.Invoke(block.Key.ToArray());
        SpoilsEncoded?.Invoke(source);
        return BrotliEncoder.TryCompress(source, destination, out var written, quality: 1, window: 22) ? new EncodedPayload(written, Id, Name) : default;
    }

    public bool Accepts(in CodedBlock block, ushort codec) => Advice == CodingAdvice.Encode;

    public bool TryDecode(ReadOnlySpan<byte> encoded, Span<byte> payload, out string codec)
    {
        codec = Name;
        var decoded = new byte[payload.Length];
        if (Forgets || !BrotliDecoder.TryDecompress(encoded, decoded, out var written) || written != payload.Length)
        {
            return false;
        }

        SpoilsDecoded?.Invoke(decoded);
        decoded.CopyTo(payload);
        return true;
    }

    public TimeSpan TakeHelperTime() => HelperTime;

    public void StopEncoding() => _wasStopped = true;
}
