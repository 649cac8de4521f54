using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace KvMesh.Protocol.Keys;

/// <summary>
/// 128 bits of (tenant, key) under a secret, the index's word for a block. SipHash-1-3 with 128 bits of output
/// (Aumasson and Bernstein, 2012, with the rounds that hash tables use): without the secret nobody can make keys collide, and the full key is compared anyway.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 8)]
public readonly record struct KeyDigest(ulong Low, ulong High)
{
    public static KeyDigest Compute(in DigestSecret secret, uint tenantId, ReadOnlySpan<byte> key)
    {
        var state = new SipState(secret, tenantId);
        var length = (ulong)key.Length + 4;

        while (key.Length >= 8)
        {
            state.Absorb(BinaryPrimitives.ReadUInt64LittleEndian(key));
            key = key[8..];
        }

        Span<byte> last = stackalloc byte[8];
        last.Clear();
        key.CopyTo(last);
        last[7] = (byte)length;
        state.Absorb(BinaryPrimitives.ReadUInt64LittleEndian(last));
        return state.Finish();
    }

    /// <summary>SipHash's four words. The tenant is folded into the key schedule, so equal keys of two tenants are unrelated.</summary>
    private ref struct SipState
    {
        private ulong _v0;
        private ulong _v1;
        private ulong _v2;
        private ulong _v3;

        public SipState(in DigestSecret secret, uint tenantId)
        {
            _v0 = 0x736f6d6570736575 ^ secret.Low;
            _v1 = 0x646f72616e646f6d ^ secret.High ^ 0xee;
            _v2 = 0x6c7967656e657261 ^ secret.Low;
            _v3 = 0x7465646279746573 ^ secret.High;
            Absorb(tenantId);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Absorb(ulong word)
        {
            _v3 ^= word;
            Round();
            _v0 ^= word;
        }

        public KeyDigest Finish()
        {
            _v2 ^= 0xee;
            FinalRounds();
            var low = _v0 ^ _v1 ^ _v2 ^ _v3;
            _v1 ^= 0xdd;
            FinalRounds();
            return new KeyDigest(low, _v0 ^ _v1 ^ _v2 ^ _v3);
        }

        private void FinalRounds()
        {
            Round();
            Round();
            Round();
        }

        // Inlined, the state stays in registers: 3 × on an 84-byte key (KeyDigestBenchmarks).
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private void Round()
        {
            _v0 += _v1;
            _v1 = BitOperations.RotateLeft(_v1, 13) ^ _v0;
            _v0 = BitOperations.RotateLeft(_v0, 32);
            _v2 += _v3;
            _v3 = BitOperations.RotateLeft(_v3, 16) ^ _v2;
            _v0 += _v3;
            _v3 = BitOperations.RotateLeft(_v3, 21) ^ _v0;
            _v2 += _v1;
            _v1 = BitOperations.RotateLeft(_v1, 17) ^ _v2;
            _v2 = BitOperations.RotateLeft(_v2, 32);
        }
    }
}

/// <summary>The 128-bit secret of one data directory. It is stored with the data and never leaves the node.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 8)]
public readonly record struct DigestSecret(ulong Low, ulong High)
{
    public static DigestSecret Create()
    {
        Span<byte> random = stackalloc byte[16];
        RandomNumberGenerator.Fill(random);
        return MemoryMarshal.Read<DigestSecret>(random);
    }
}
