using KvMesh.Engine.Blocks;

namespace KvMesh.Engine;

/// <summary>When blocks end by themselves.</summary>
public sealed partial class BlockEngine
{
    /// <summary>Changes when a block expires, in Unix milliseconds; 0 never. False when there is no such block.</summary>
    public bool SetExpiry(Tenant tenant, ReadOnlySpan<byte> key, long expiresAt)
    {
        var isFound = false;
        while (_registry.Find(tenant, key) is { } block)
        {
            isFound = true;
            SetExpiry(tenant, block, expiresAt);
            if (!block.IsDead)
            {
                break;
            }

            // Replaced meanwhile, perhaps: then its successor is the one that is asked for.
        }

        return isFound;
    }

    private void SetExpiry(Tenant tenant, Block block, long expiresAt)
    {
        var before = Interlocked.Exchange(ref block.ExpiresAt, expiresAt);
        BlockRegistry.NoteExpiry(block);
        if (block.IsContent)
        {
            // A copy elsewhere has the old expiry and would bring the block back: it goes, and may be made again.
            ForgetElsewhere(tenant, block.Key);
            block.IsOffered = false;
        }

        WaitUntilDecided(block);
        if (block.TryOpen())
        {
            using var read = new BlockRead(this, block, mustVerify: false);
            block.Tenant.Host.Arena.Descriptor(block.Extent.Descriptor).ExpiresAt = expiresAt;
        }

        Volatile.Read(ref block.Encoded)?.Annotate(block);
        if (before != expiresAt)
        {
            _host.NoteExpiry(block, isSooner: expiresAt != 0 && (before == 0 || expiresAt < before));
        }
    }
}
