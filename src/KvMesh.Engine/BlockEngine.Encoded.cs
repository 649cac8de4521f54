using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Protocol.Coding;

namespace KvMesh.Engine;

/// <summary>Blocks as they lie encoded.</summary>
public sealed partial class BlockEngine
{
    /// <summary>
    /// Opens a block as it lies encoded, for a client that decodes it: from RAM, or from disk beside the arena. A copy in RAM as it is is worth more than one on disk. The caller disposes <paramref name="read"/> as soon as the bytes are sent. False: read the block as any other; nothing was counted.
    /// </summary>
    /// <param name="kinds">Codecs that the client knows.</param>
    /// <param name="losslessOnly">Whether a copy that has lost something is not to be given.</param>
    public bool TryReadEncoded(Tenant tenant, ReadOnlySpan<byte> key, CodecKinds kinds, bool losslessOnly, out EncodedRead read)
    {
        read = default;
        if (_registry.Find(tenant, key) is { Encoded: { } copy } inRam && TryReadInRam(inRam, copy, kinds, losslessOnly, out read))
        {
            NoteRead(inRam, isFirst: false);
            Count(ref _counters.HostHits, isUse: true);
            Interlocked.Increment(ref tenant.Counters.Hits);
            Interlocked.Add(ref _counters.ReadBytes, inRam.PayloadBytes);
            return true;
        }

        if (_host.EncodedDoor is not { } door || _registry.Find(tenant, key) is not { IsResident: false, IsOnDisk: true } block
            || (losslessOnly && block.Loss is not null) || !door.TryRead(block, kinds, out read))
        {
            return false;
        }

        if (block.IsDead || (losslessOnly && read.Loss is not null))
        {
            read.Dispose();
            read = default;
            return false;
        }

        Interlocked.Increment(ref MainOf(block).Hits);
        Count(ref _counters.DiskHits, isUse: true);
        Interlocked.Increment(ref tenant.Counters.Hits);
        Interlocked.Add(ref _counters.ReadBytes, block.PayloadBytes);
        return true;
    }

    /// <summary>A copy that has lost something is not given while the block has all its bits.</summary>
    private bool TryReadInRam(Block block, EncodedCopy copy, CodecKinds kinds, bool losslessOnly, out EncodedRead read)
    {
        read = default;
        if (!kinds.Contains(copy.Form.Codec) || copy.Index.BlockTableChecksum != block.TableChecksum || (losslessOnly && copy.Loss is not null) || !copy.TryOpen())
        {
            return false;
        }

        if (block.IsDead || (IsSampled() && !copy.IsIntact))
        {
            copy.Close();
            return false;
        }

        read = new EncodedRead(copy);
        return true;
    }
}
