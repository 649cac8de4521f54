using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvMesh.Cli.Workload;

/// <summary>Whose bytes a payload holds: a word made from the key, and which write of that key it was.</summary>
public readonly record struct PayloadIdentity(ulong KeyWord, uint Version)
{
    private const ulong Golden = 0x9E3779B97F4A7C15;

    /// <summary>The identity of the block named by <paramref name="keyHash"/> (at least 8 bytes of it) in the workload of <paramref name="seed"/>.</summary>
    public static PayloadIdentity Of(ulong seed, ReadOnlySpan<byte> keyHash, uint version = 0) =>
        new(BinaryPrimitives.ReadUInt64LittleEndian(keyHash) ^ (seed * Golden), version);
}

/// <summary>What a check of received bytes found. The identity is the one the bytes claim, wherever they first differ.</summary>
public readonly record struct PayloadCheck(long MismatchedBytes, long FirstMismatch, PayloadIdentity Seen)
{
    public bool IsMatch => MismatchedBytes == 0;
}

/// <summary>
/// Payloads that a checker can recompute, filled and checked at the speed of memory. Each line of 64 bytes is eight
/// little-endian words: the key word, version and line number, and six that mix both. So any line of a wrong answer tells which
/// key's bytes it is, which write of it, and from which place in the block.
/// </summary>
public static class BlockPayload
{
    private const int LineBytes = 64;
    private const int VersionShift = 32;

    public static void Fill(Span<byte> payload, PayloadIdentity identity)
    {
        var line = FirstLine(identity);
        var step = Step(identity);
        foreach (ref var slot in MemoryMarshal.Cast<byte, Vector512<ulong>>(payload))
        {
            slot = line;
            line += step;
        }

        Span<byte> last = stackalloc byte[LineBytes];
        MemoryMarshal.Write(last, line);
        var tail = payload.Length % LineBytes;
        last[..tail].CopyTo(payload[^tail..]);
    }

    /// <summary>Compares every byte with what <paramref name="expected"/> would have written.</summary>
    public static PayloadCheck Check(ReadOnlySpan<byte> payload, PayloadIdentity expected)
    {
        var line = FirstLine(expected);
        var step = Step(expected);
        var difference = Vector512<ulong>.Zero;
        foreach (ref readonly var slot in MemoryMarshal.Cast<byte, Vector512<ulong>>(payload))
        {
            difference |= slot ^ line;
            line += step;
        }

        Span<byte> last = stackalloc byte[LineBytes];
        MemoryMarshal.Write(last, line);
        var tail = payload.Length % LineBytes;
        return difference == Vector512<ulong>.Zero && payload[^tail..].SequenceEqual(last[..tail])
            ? new PayloadCheck(0, -1, expected)
            : Explain(payload, expected);
    }

    /// <summary>Which key and version the line at <paramref name="offset"/> claims to belong to.</summary>
    public static PayloadIdentity Identify(ReadOnlySpan<byte> payload, long offset = 0)
    {
        Span<byte> line = stackalloc byte[LineBytes];
        line.Clear();
        var start = (int)(offset / LineBytes * LineBytes);
        payload[start..Math.Min(payload.Length, start + LineBytes)].CopyTo(line);
        return new PayloadIdentity(
            BinaryPrimitives.ReadUInt64LittleEndian(line),
            (uint)(BinaryPrimitives.ReadUInt64LittleEndian(line[sizeof(ulong)..]) >> VersionShift));
    }

    private static Vector512<ulong> FirstLine(PayloadIdentity identity)
    {
        var (key, version) = (identity.KeyWord, (ulong)identity.Version << VersionShift);
        var mixed = (key ^ version) * 0xD6E8FEB86659FD93;
        return Vector512.Create(
            key, version, mixed, ulong.RotateLeft(mixed, 11), ulong.RotateLeft(mixed, 23),
            ulong.RotateLeft(mixed, 37), ulong.RotateLeft(mixed, 47), ulong.RotateLeft(mixed, 59));
    }

    private static Vector512<ulong> Step(PayloadIdentity identity)
    {
        var odd = (identity.KeyWord << 1) | 1;
        return Vector512.Create(
            0UL, 1, odd, 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, odd * 0x27D4EB2F165667C5, 0x85EBCA77C2B2AE63);
    }

    private static PayloadCheck Explain(ReadOnlySpan<byte> payload, PayloadIdentity expected)
    {
        var right = new byte[payload.Length];
        Fill(right, expected);
        long mismatched = 0;
        for (var i = 0; i < right.Length; i++)
        {
            mismatched += right[i] == payload[i] ? 0 : 1;
        }

        var first = payload.CommonPrefixLength(right);
        return new PayloadCheck(mismatched, first, Identify(payload, first));
    }
}
