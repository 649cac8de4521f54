using KvMesh.Engine.FarTiers;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Blocks;

/// <summary>
/// An open block: its payload stays where it is until <see cref="Dispose"/>, which must be called exactly once, by whoever
/// holds the last copy of this value.
/// </summary>
public readonly struct BlockRead : IDisposable
{
    private readonly BlockEngine _engine;
    private readonly Block _block;

    internal BlockRead(BlockEngine engine, Block block, bool mustVerify)
    {
        _engine = engine;
        _block = block;
        MustVerify = mustVerify;
    }

    /// <summary>The payload, in the arena.</summary>
    public ReadOnlySpan<byte> Payload => Trailer.Payload(_block.Tenant.Host.Arena, _block.Extent, _block.PayloadBytes);

    /// <summary>One CRC-32C per 64 KiB of payload.</summary>
    public ReadOnlySpan<uint> Checksums => Trailer.Table(_block.Tenant.Host.Arena, _block.Extent, _block.PayloadBytes);

    /// <summary>CRC-32C over <see cref="Checksums"/>.</summary>
    public uint TableChecksum => _block.TableChecksum;

    public int PayloadBytes => _block.PayloadBytes;

    /// <summary>What the payload has lost; null: it is what was sealed. Does not change while the read is open.</summary>
    public Loss? Loss => _block.Loss;

    /// <summary>Unix milliseconds after which the block is gone; 0 never.</summary>
    public long ExpiresAt => Volatile.Read(ref _block.ExpiresAt);

    /// <summary>Index of the block's descriptor in the arena, for readers that map it.</summary>
    public int DescriptorIndex => _block.Extent.Descriptor;

    /// <summary>The descriptor's generation while this read is open.</summary>
    public ulong Generation => _block.Tenant.Host.Arena.Descriptor(_block.Extent.Descriptor).Generation;

    /// <summary>Offset of the payload from the start of the arena's data area, in bytes.</summary>
    public long PayloadOffset => _block.Extent.Offset + Host.Extent.PayloadOffset(_block.PayloadBytes);

    /// <summary>Whether this read is one of the sample that a door must verify before it sends (see <see cref="EngineOptions.VerifyOneReadIn"/>).</summary>
    public bool MustVerify { get; }

    /// <summary>Whether the key names content, so that a copy elsewhere is as good.</summary>
    public bool IsContent => _block.IsContent;

    /// <summary>What another node needs to know to keep a copy. A parent or partner that is not here is left out.</summary>
    public BlockOrigin Origin => new()
    {
        PayloadBytes = _block.PayloadBytes,
        TableChecksum = _block.TableChecksum,
        Loss = _block.Loss,
        ExpiresAt = ExpiresAt,
        Traits = new BlockTraits
        {
            IsContent = _block.IsContent,
            LosslessOnly = _block.IsLosslessOnly,
            Model = _block.Scope.Model,
            Revision = _block.Scope.Revision,
            ParentKey = _block.Parent is { } parent ? parent.Key : default,
            CompanionOf = _block.IsCompanion && Volatile.Read(ref _block.Companion) is { } main ? main.Key : default,
        },
    };

    internal Block Block => _block;

    /// <summary>Bytes of the arena that stay in place while the read is open.</summary>
    internal long HeldBytes => _block.Extent.AllocatedBytes;

    /// <summary>Checks the payload against its table. On a mismatch the block is quarantined; send nothing and answer a miss.</summary>
    public bool Verify()
    {
        if (ChecksumTable.Seal(Checksums) == TableChecksum && ChecksumTable.FirstMismatch(Payload, Checksums) < 0)
        {
            _engine.NoteVerified(_block);
            return true;
        }

        _engine.Quarantine(_block);
        return false;
    }

    public void Dispose()
    {
        if (_block.CloseAndCheckFree())
        {
            _block.Tenant.Host.Free(_block.Tenant, _block.Extent, wasPublished: true);
        }
    }

    internal void NoteResidenceLease(long until) => _block.Tenant.Host.NoteResidenceLease(until);
}
