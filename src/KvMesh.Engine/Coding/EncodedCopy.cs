using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Host;
using KvMesh.Protocol.Arena;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Coding;

/// <summary>
/// A block's bytes as a codec wrote them, in an extent of the arena beside or instead of the block's own: payload, checksum table and names as
/// they are written to disk, and an <see cref="EncodedIndex"/> behind them for the next process. The extent stays while somebody holds the
/// copy: its block does from the beginning, and each reader while it reads. Whoever lets go last gives it back.
/// </summary>
internal sealed class EncodedCopy
{
    private readonly Tenant _tenant;
    private int _holds = 1;

    public EncodedCopy(Tenant tenant, in Extent extent, in EncodedExtent form, in EncodedIndex index)
    {
        _tenant = tenant;
        Extent = extent;
        Form = form;
        Index = index;
        tenant.Host.NoteEncoded(1, extent.AllocatedBytes);
    }

    /// <summary>Place and descriptor; its bytes include the index.</summary>
    public Extent Extent { get; }

    /// <summary>The encoded bytes, as a record on disk describes them.</summary>
    public EncodedExtent Form { get; }

    /// <summary>What they decode to.</summary>
    public EncodedIndex Index { get; }

    /// <summary>What is lost; null: every bit of what was sealed comes back.</summary>
    public Loss? Loss => Index.Loss;

    public ReadOnlySpan<byte> Payload => _tenant.Host.Arena.Data(Extent.Offset + Extent.PayloadOffset(Form.PayloadBytes), Form.PayloadBytes);

    public ReadOnlySpan<uint> Table =>
        _tenant.Host.Arena.Words(Extent.Offset + Extent.TrailerOffset(Form.PayloadBytes), ChecksumTable.EntryCount(Form.PayloadBytes));

    /// <summary>The extent as it is written to disk, up to the end of its last granule.</summary>
    public ReadOnlySpan<byte> Memory => _tenant.Host.Arena.Data(Extent.Offset, Form.AllocatedBytes);

    /// <summary>Whether the encoded bytes are those that were written. The caller holds the copy.</summary>
    public bool IsIntact => ChecksumTable.Seal(Table) == Form.TableChecksum && ChecksumTable.FirstMismatch(Payload, Table) < 0;

    /// <summary>Puts encoded bytes into an extent that has room for them and their index. Nothing is visible yet.</summary>
    /// <param name="source">The extent up to the end of what means something.</param>
    public static EncodedCopy Write(Tenant tenant, in Extent extent, in EncodedExtent form, in EncodedIndex index, ReadOnlySpan<byte> source)
    {
        var memory = tenant.Host.Arena.Data(extent.Offset, (int)extent.AllocatedBytes);
        source[..form.ExtentBytes].CopyTo(memory);
        index.Write(memory.Slice(form.ExtentBytes, EncodedIndex.Bytes));
        memory[(form.ExtentBytes + EncodedIndex.Bytes)..].Clear();
        return new EncodedCopy(tenant, extent, form, index);
    }

    /// <summary>The descriptor of its extent.</summary>
    public BlockDescriptor DescriptorOf(Block block) => new()
    {
        Digest = block.Digest,
        Parent = block.Related,
        ExtentOffset = Extent.Offset,
        ExtentBytes = Extent.Bytes,
        PayloadBytes = Form.PayloadBytes,
        Flags = IsNamedLossy(block) ? block.Flags | BlockFlags.Lossy : block.Flags,
        ScopeEpoch = block.Scope.Epoch,
        TableChecksum = Form.TableChecksum,
        TrailerChecksum = Form.TrailerChecksum,
        KeyBytes = (ushort)block.Key.Length,
        TenantBytes = (byte)block.Tenant.NameBytes.Length,
        ModelBytes = (byte)Encoding.UTF8.GetByteCount(block.Scope.Model),
        RevisionBytes = (byte)Encoding.UTF8.GetByteCount(block.Scope.Revision),
        ExpiresAt = Volatile.Read(ref block.ExpiresAt),
        LeaseUntil = Math.Max(Volatile.Read(ref block.LeaseUntil), Volatile.Read(ref block.HeldUntil)),
        Hits = block.Hits,
        LastUse = block.LastUse,
    };

    /// <summary>The encoded bytes as they are written to disk for the block, which may have become what they decode to by now.</summary>
    public EncodedExtent FormFor(Block block) => block.TableChecksum == Index.BlockTableChecksum ? Form with { Lossy = null } : Form;

    /// <summary>Tells the next process what has changed of the block since its copy was published. Whoever calls this has changed it before.</summary>
    public void Annotate(Block block)
    {
        Interlocked.MemoryBarrier();
        if (TryOpen())
        {
            ref var descriptor = ref _tenant.Host.Arena.Descriptor(Extent.Descriptor);
            Volatile.Write(ref descriptor.ExpiresAt, Volatile.Read(ref block.ExpiresAt));
            descriptor.Marks = block.IsLosslessOnly ? BlockMarks.LosslessOnly : BlockMarks.None;
            Volatile.Write(ref descriptor.LeaseUntil, Math.Max(Volatile.Read(ref block.LeaseUntil), Volatile.Read(ref block.HeldUntil)));
            Close();
        }
    }

    /// <summary>Holds the extent in place. False: it has been given back.</summary>
    public bool TryOpen()
    {
        while (Volatile.Read(ref _holds) is var holds && holds > 0)
        {
            if (Interlocked.CompareExchange(ref _holds, holds + 1, holds) == holds)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Ends a hold, and the block's own once.</summary>
    public void Close()
    {
        if (Interlocked.Decrement(ref _holds) == 0)
        {
            _tenant.Host.NoteEncoded(-1, -Extent.AllocatedBytes);
            _tenant.Host.Free(_tenant, Extent, wasPublished: true);
        }
    }

    /// <summary>Whether the names are followed by what the block had lost before it was encoded.</summary>
    private bool IsNamedLossy(Block block) =>
        Form.ExtentBytes != Extent.BytesFor(Form.PayloadBytes, Trailer.NameBytes(block.Scope, block.Key.Length));
}
