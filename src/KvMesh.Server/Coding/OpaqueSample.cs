using System.Buffers;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Opaque;

namespace KvMesh.Server.Coding;

/// <summary>
/// Whether coding the bytes of a payload pays, by some of them: most payloads of which nothing is known are random to any coder, and finding that out
/// must not cost what coding costs.
/// </summary>
internal static class OpaqueSample
{
    /// <summary>Shorter payloads are tried as they are.</summary>
    private const int MinPayloadBytes = 8 * SampleBytes;

    private const int Runs = 4;
    private const int RunBytes = 16 * 1024;
    private const int SampleBytes = Runs * RunBytes;

    public static bool Pays(ReadOnlySpan<byte> payload, CodecScratch scratch)
    {
        if (payload.Length < MinPayloadBytes)
        {
            return true;
        }

        var rented = ArrayPool<byte>.Shared.Rent(SampleBytes + OpaqueCodec.MaxBytes(SampleBytes));
        try
        {
            var sample = rented.AsSpan(0, SampleBytes);

            // Runs begin where numbers of four bytes do, spread over all of it.
            var apart = ((payload.Length - RunBytes) / (Runs - 1)) & ~3;
            for (var run = 0; run < Runs; run++)
            {
                payload.Slice(run * apart, RunBytes).CopyTo(sample[(run * RunBytes)..]);
            }

            return OpaqueCodec.Encode(sample, rented.AsSpan(SampleBytes), scratch) > 0;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }
}
