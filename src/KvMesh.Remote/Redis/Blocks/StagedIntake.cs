using System.Buffers;
using System.Runtime.InteropServices;
using KvMesh.Engine.FarTiers;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>Takes the encoded bytes of a block, beside the arena, and checks them as an intake does. One thread.</summary>
internal sealed class StagedIntake(IBlockIntake intake, int payloadBytes) : IBlockIntake, IDisposable
{
    private readonly byte[] _buffer = ArrayPool<byte>.Shared.Rent(Math.Max(payloadBytes, 1));

    public FetchPriority Priority => intake.Priority;

    public bool LosslessOnly => intake.LosslessOnly;

    public TimeSpan Remaining => intake.Remaining;

    public int AcceptedPrefixBytes => 0;

    public Span<byte> Payload => _buffer.AsSpan(0, payloadBytes);

    public void Expect(int payloadBytes) => intake.Expect(payloadBytes);

    /// <summary>There is room already.</summary>
    public bool TryReserve(in BlockOrigin origin) => origin.PayloadBytes == payloadBytes;

    public bool TryAccept(int firstChunk, ReadOnlySpan<byte> checksums)
    {
        var entries = MemoryMarshal.Cast<byte, uint>(checksums);
        var from = firstChunk * Limits.ChecksumChunkBytes;
        var bytes = Math.Min(entries.Length * Limits.ChecksumChunkBytes, payloadBytes - from);
        return ChecksumTable.FirstMismatch(Payload.Slice(from, bytes), entries) < 0;
    }

    public void Dispose() => ArrayPool<byte>.Shared.Return(_buffer);
}
