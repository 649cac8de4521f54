using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.Host;

/// <summary>Blocks that lie encoded in the arena.</summary>
internal sealed partial class HostTier
{
    private long _encodedBytes;
    private int _encodedBlocks;

    /// <summary>Blocks that lie encoded here, and the bytes of their extents.</summary>
    public (int Blocks, long Bytes) Encoded => (Volatile.Read(ref _encodedBlocks), Interlocked.Read(ref _encodedBytes));

    /// <summary>Blocks that lie here both ways.</summary>
    public int Shadows => _tenants.Sum(tenant => tenant.Raw?.Shadows ?? 0);

    public void NoteEncoded(int blocks, long bytes)
    {
        Interlocked.Add(ref _encodedBlocks, blocks);
        Interlocked.Add(ref _encodedBytes, bytes);
    }

    /// <summary>The block has a raw extent, which need not stay when it lies encoded beside it, or could.</summary>
    public static void NoteRaw(Block block)
    {
        if (block.Tenant.Raw is not { } raw || block.IsCompanion)
        {
            return;
        }

        if (Volatile.Read(ref block.Encoded) is null)
        {
            raw.AddWaiting(block);
        }
        else
        {
            raw.AddShadow(block);
        }
    }
}
