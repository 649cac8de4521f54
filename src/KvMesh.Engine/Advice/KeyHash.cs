using System.Buffers.Binary;
using System.Numerics;
using KvMesh.Engine.Blocks;
using KvMesh.Protocol;

namespace KvMesh.Engine.Advice;

/// <summary>
/// What decides whether a key is sampled: 64 bits. No security rests on it. A match asks it of every key of its run: they share the work on what they have in common, and their chain
/// hashes, which are even already, cost one multiplication each.
/// </summary>
internal static class KeyHash
{
    private const ulong Factor = 0x9E3779B97F4A7C15;

    public static ulong Of(Tenant tenant, ReadOnlySpan<byte> key)
    {
        var tail = Math.Min(key.Length, Limits.ChainHashBytes);
        return Of(OfScope(tenant, key[..^tail]), key[^tail..]);
    }

    /// <summary>Of what keys of a run have in common.</summary>
    public static ulong OfScope(Tenant tenant, ReadOnlySpan<byte> scope) => Fold(tenant.DigestId, scope);

    /// <summary>Of one key of a run.</summary>
    /// <param name="scope">As <see cref="OfScope"/> gave it.</param>
    /// <param name="tail">The last 32 bytes of the key.</param>
    public static ulong Of(ulong scope, ReadOnlySpan<byte> tail)
    {
        if (tail.Length == Limits.ChainHashBytes)
        {
            var mixed = (scope ^ BinaryPrimitives.ReadUInt64LittleEndian(tail) ^ BitOperations.RotateLeft(BinaryPrimitives.ReadUInt64LittleEndian(tail[^sizeof(ulong)..]), 32)) * Factor;
            return mixed ^ (mixed >> 32);
        }

        var hash = Fold(scope, tail);
        hash = (hash ^ (hash >> 32)) * 0xD6E8FEB86659FD93;
        hash = (hash ^ (hash >> 32)) * 0xD6E8FEB86659FD93;
        return hash ^ (hash >> 32);
    }

    private static ulong Fold(ulong hash, ReadOnlySpan<byte> bytes)
    {
        hash ^= (ulong)bytes.Length * Factor;
        while (bytes.Length >= sizeof(ulong))
        {
            hash = BitOperations.RotateLeft((hash ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes)) * Factor, 29);
            bytes = bytes[sizeof(ulong)..];
        }

        foreach (var value in bytes)
        {
            hash = BitOperations.RotateLeft((hash ^ value) * Factor, 29);
        }

        return hash;
    }
}
