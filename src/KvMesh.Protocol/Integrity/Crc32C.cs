using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvMesh.Protocol.Integrity;

/// <summary>CRC-32C (Castagnoli, RFC 3720), the checksum of every hop.</summary>
public static class Crc32C
{
    // Below this, the start and the end of folding cost more than it saves.
    private const int MinFoldBytes = 2 * Crc32CFolding.StepBytes;

    // Half of the first-level cache of common processors.
    private const int PieceBytes = 16 * 1024;

    /// <summary>The checksum of <paramref name="data"/>.</summary>
    public static uint Compute(ReadOnlySpan<byte> data) => Append(0, data);

    /// <summary>Continues <paramref name="checksum"/>, the checksum of what came before, over <paramref name="data"/>.</summary>
    public static uint Append(uint checksum, ReadOnlySpan<byte> data)
    {
        var state = ~checksum;
        if (Crc32CFolding.IsSupported && data.Length >= MinFoldBytes)
        {
            var folded = data.Length - (data.Length % Crc32CFolding.StepBytes);
            state = Crc32CFolding.Append(state, ref MemoryMarshal.GetReference(data), (nuint)folded);
            data = data[folded..];
        }
        else if (Crc32CLanes.IsSupported && data.Length >= Crc32CLanes.StepBytes)
        {
            var joined = data.Length - (data.Length % Crc32CLanes.StepBytes);
            state = Crc32CLanes.Append(state, ref MemoryMarshal.GetReference(data), (nuint)joined);
            data = data[joined..];
        }

        return ~AppendSerially(state, data);
    }

    /// <summary>
    /// Copies <paramref name="source"/> to the start of <paramref name="destination"/> and returns the checksum continued over
    /// the copy. What is stored is what was summed, even while somebody still writes to the source.
    /// </summary>
    /// <param name="streams">
    /// Stores past the cache: about 1.5 times as fast when the whole copy is larger than the cache and is not read at once,
    /// slower otherwise. Takes effect on a destination aligned to 64 bytes, where the processor can.
    /// </param>
    public static unsafe uint CopyAndAppend(uint checksum, ReadOnlySpan<byte> source, Span<byte> destination, bool streams = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, source.Length);
        destination = destination[..source.Length];
        Debug.Assert(!source.Overlaps(destination), "one pass cannot copy within itself");
        var state = ~checksum;
        if (Crc32CFolding.IsSupported && source.Length >= MinFoldBytes)
        {
            var folded = source.Length - (source.Length % Crc32CFolding.StepBytes);
            fixed (byte* target = destination)
            {
                ref var from = ref MemoryMarshal.GetReference(source);
                state = streams && (nuint)target % Crc32CFolding.VectorBytes == 0
                    ? Crc32CFolding.StreamAndAppend(state, ref from, ref Unsafe.AsRef<byte>(target), (nuint)folded)
                    : Crc32CFolding.CopyAndAppend(state, ref from, ref Unsafe.AsRef<byte>(target), (nuint)folded);
            }

            source = source[folded..];
            destination = destination[folded..];
        }

        // The sum is taken over the copy, piece by piece, while it is in the nearest cache.
        while (!source.IsEmpty)
        {
            var piece = Math.Min(source.Length, PieceBytes);
            source[..piece].CopyTo(destination);
            state = ~Append(~state, destination[..piece]);
            source = source[piece..];
            destination = destination[piece..];
        }

        return ~state;
    }

    /// <summary>One chain of the processor's instruction, or of a table where there is none. Takes and returns the inverted checksum.</summary>
    internal static uint AppendSerially(uint state, ReadOnlySpan<byte> data)
    {
        while (data.Length >= sizeof(ulong))
        {
            state = BitOperations.Crc32C(state, MemoryMarshal.Read<ulong>(data));
            data = data[sizeof(ulong)..];
        }

        foreach (var value in data)
        {
            state = BitOperations.Crc32C(state, value);
        }

        return state;
    }
}
