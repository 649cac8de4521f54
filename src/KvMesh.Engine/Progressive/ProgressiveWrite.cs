using KvMesh.Engine.Blocks;
using KvMesh.Engine.Host;
using KvMesh.Engine.Leases;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;

namespace KvMesh.Engine.Progressive;

/// <summary>
/// A block that is readable while it is written: its sections (layers) are published in order, each with its checksum, and the last one seals it. One writer, one
/// thread at a time; any number of readers below the watermark.
/// <para>
/// The extent is held by the writer until the end, and by each reader while it sends. Whoever lets go of the last hold gives it back, or, when it was sealed,
/// closes the block that the seal opened for them. Nobody waits for anybody: a reader is never in the way of a seal or an abort.
/// </para>
/// </summary>
public sealed class ProgressiveWrite
{
    private const int EndedBit = 1 << 30;

    private readonly ConnectionLeases _leases;
    private readonly uint[] _checksums;
    private readonly uint[] _proofs;
    private RunningChecksum _table;
    private RunningChecksum _before;
    private int _published;
    private int _word = 1;
    private int _isClaimed;
    private volatile bool _isReceiving;
    private long _progressAt;

    internal ProgressiveWrite(Block block, int sectionBytes, ProgressiveKey key, ConnectionLeases leases, long now)
    {
        Block = block;
        SectionBytes = sectionBytes;
        Key = key;
        _leases = leases;
        _progressAt = now;
        _checksums = new uint[ProgressiveLimits.SectionCount(block.PayloadBytes, sectionBytes)];
        _proofs = new uint[_checksums.Length + 1];
    }

    /// <summary>Bytes of each section but the last, which may be shorter.</summary>
    public int SectionBytes { get; }

    public int Sections => _checksums.Length;

    public int PayloadBytes => Block.PayloadBytes;

    /// <summary>The watermark: sections that can be read.</summary>
    public int Published => Volatile.Read(ref _published);

    internal Block Block { get; }

    /// <summary>All writers of the same content.</summary>
    internal ProgressiveKey Key { get; }

    /// <summary>Whether nothing more can be published.</summary>
    public bool IsEnded => (Volatile.Read(ref _word) & EndedBit) != 0;

    /// <summary>When the writer last published or sent something, in Unix milliseconds.</summary>
    internal long ProgressAt => Volatile.Read(ref _progressAt);

    /// <summary>Whether a section is on its way: its connection has limits of its own for how long that may take.</summary>
    internal bool IsReceiving => _isReceiving;

    internal bool WasSealed { get; set; }

    private HostTier Host => Block.Tenant.Host;

    /// <summary>Where the next section goes. The writer holds the extent; <see cref="Append"/> every piece in order.</summary>
    public Span<byte> NextSection => Bytes(_published, 1);

    /// <summary>Bytes of the next section.</summary>
    public int NextSectionBytes => BytesOf(_published, 1);

    /// <summary>Begins a section, also once more after one that was not right.</summary>
    public void BeginSection()
    {
        _isReceiving = true;
        if (_table.AppendedBytes == (long)_published * SectionBytes)
        {
            _before = _table;
        }
        else
        {
            _table = _before;
        }
    }

    /// <summary>The section is here, or will not come: from now on the writer is waited for.</summary>
    internal void EndSection(long now)
    {
        Volatile.Write(ref _progressAt, now);
        _isReceiving = false;
    }

    /// <summary>Takes the next piece of the section, which stands in its place, while it is in the cache.</summary>
    public void Append(ReadOnlySpan<byte> piece) => _table.Append(piece, Trailer.Table(Host.Arena, Block.Extent, Block.PayloadBytes));

    /// <summary>Keeps the extent where it is until <see cref="Release"/>. False: the write has ended, and its bytes may be gone.</summary>
    public bool TryHold()
    {
        while (Volatile.Read(ref _word) is var word && (word & EndedBit) == 0)
        {
            if (Interlocked.CompareExchange(ref _word, word + 1, word) == word)
            {
                return true;
            }
        }

        return false;
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref _word) == EndedBit)
        {
            GiveBack();
        }
    }

    /// <summary>Bytes of sections. The caller holds the extent.</summary>
    internal Span<byte> Bytes(int first, int count) =>
        Trailer.Payload(Host.Arena, Block.Extent, Block.PayloadBytes).Slice(first * SectionBytes, BytesOf(first, count));

    internal int BytesOf(int first, int count) => (int)(Math.Min((long)(first + count) * SectionBytes, PayloadBytes) - ((long)first * SectionBytes));

    internal uint ChecksumOf(int section) => _checksums[section];

    /// <summary>What a reader has to show who has that many sections: a checksum over their checksums.</summary>
    internal uint ProofOf(int sections) => _proofs[sections];

    /// <summary>Moves the watermark over a section whose bytes are in place.</summary>
    internal void Advance(uint checksum, long now)
    {
        _checksums[_published] = checksum;
        _proofs[_published + 1] = SectionProof.Append(_proofs[_published], checksum);
        Volatile.Write(ref _progressAt, now);
        Volatile.Write(ref _published, _published + 1);
    }

    /// <summary>Gives the right to end the write to one caller.</summary>
    internal bool TryClaimEnd() => Interlocked.Exchange(ref _isClaimed, 1) == 0;

    /// <summary>
    /// Ends the write for readers that come, and lets go of the writer's hold. By whoever claimed it, once. The writer pays for the extent no longer:
    /// readers that are still sending have leases of their own for it.
    /// </summary>
    internal void End()
    {
        Interlocked.Or(ref _word, EndedBit);
        _leases.GiveBack(Block.Extent.AllocatedBytes);
        Release();
    }

    private void GiveBack()
    {
        if (!WasSealed)
        {
            Host.Free(Block.Tenant, Block.Extent, wasPublished: false);
        }
        else if (Block.CloseAndCheckFree())
        {
            Host.Free(Block.Tenant, Block.Extent, wasPublished: true);
        }
    }
}
