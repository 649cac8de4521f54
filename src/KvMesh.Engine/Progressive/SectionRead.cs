using KvMesh.Engine.Blocks;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;

namespace KvMesh.Engine.Progressive;

/// <summary>
/// Open sections of a block: they stay where they are until <see cref="Dispose"/>, which must be called exactly once. Their memory counts against the leases of
/// the connection meanwhile.
/// </summary>
public readonly struct SectionRead : IDisposable
{
    private readonly ProgressiveWrite? _write;
    private readonly BlockRead _sealed;
    private readonly Follower _follower;
    private readonly long _heldBytes;
    private readonly int _sectionBytes;

    internal SectionRead(ProgressiveWrite write, Follower follower, long heldBytes, in FollowPosition position)
    {
        (_write, _follower, _heldBytes, _sectionBytes, First) = (write, follower, heldBytes, write.SectionBytes, position.Section);
        BlockBytes = write.PayloadBytes;
        Count = CountOf(position.MaxBytes, write.Published - First);
    }

    internal SectionRead(in BlockRead block, Follower follower, long heldBytes, in FollowPosition position)
    {
        (_sealed, _follower, _heldBytes, _sectionBytes, First) = (block, follower, heldBytes, position.SectionBytes, position.Section);
        BlockBytes = block.PayloadBytes;
        Count = CountOf(position.MaxBytes, ProgressiveLimits.SectionCount(BlockBytes, _sectionBytes) - First);
    }

    /// <summary>Bytes of the whole block.</summary>
    public int BlockBytes { get; }

    /// <summary>The first open section.</summary>
    public int First { get; }

    /// <summary>How many are open, 1 at least, or 0 behind the end of the block.</summary>
    public int Count { get; }

    /// <summary>Whether the block is sealed, and all its sections can be read.</summary>
    public bool IsSealed => _write is null;

    public ReadOnlySpan<byte> Payload => Bytes(First, Count);

    /// <summary>CRC-32C of a section: the writer's own, or of what stands there now.</summary>
    public uint ChecksumOf(int section) => _write is null ? Crc32C.Compute(Bytes(section, 1)) : _write.ChecksumOf(section);

    /// <summary>
    /// Whether what was checksummed on the fly is what was sealed. To be asked after the checksums were taken, so that no byte changes between the two unseen;
    /// on a mismatch the block is quarantined.
    /// </summary>
    public bool Verify() => _write is not null || Count == 0 || (HoldsTable() && Remember());

    public void Dispose()
    {
        if (_write is null)
        {
            _sealed.Dispose();
        }
        else
        {
            _write.Release();
        }

        _follower.Leases.GiveBack(_heldBytes);
    }

    private ReadOnlySpan<byte> Bytes(int first, int count)
    {
        var payload = _write is null ? _sealed.Payload : _write.Bytes(0, _write.Sections);
        var start = Math.Min((long)first * _sectionBytes, BlockBytes);
        return payload[(int)start..(int)Math.Min(start + ((long)count * _sectionBytes), BlockBytes)];
    }

    private int CountOf(int maxBytes, int available) => Math.Max(0, Math.Min(available, Math.Max(1, maxBytes / _sectionBytes)));

    private bool HoldsTable()
    {
        const int Chunk = Limits.ChecksumChunkBytes;
        var start = (long)First * _sectionBytes;
        var first = (int)(start / Chunk);
        var end = (int)((Math.Min(start + ((long)Count * _sectionBytes), BlockBytes) + Chunk - 1) / Chunk);
        var bytes = _sealed.Payload[(first * Chunk)..(int)Math.Min((long)end * Chunk, BlockBytes)];
        if (ChecksumTable.FirstMismatch(bytes, _sealed.Checksums[first..end]) < 0)
        {
            return true;
        }

        _sealed.Verify();
        return false;
    }

    /// <summary>Keeps the proof for the request behind this one.</summary>
    private bool Remember()
    {
        var prefix = _follower.Prefix;
        var proof = prefix.Proof;
        for (var section = First; section < First + Count; section++)
        {
            proof = SectionProof.Append(proof, ChecksumOf(section));
        }

        _follower.Prefix = prefix with { Sections = First + Count, Proof = proof };
        return true;
    }
}
