using System.Text;
using KvMesh.Engine.Host;
using KvMesh.Engine.Telemetry;

namespace KvMesh.Engine.Blocks;

/// <summary>Brings blocks into RAM: reserve, fill, seal or abort.</summary>
internal sealed class BlockWriter(BlockRegistry registry, Evictor evictor, EngineCounters counters, int maxBlockBytes)
{
    private readonly Action<Block> _publishDescriptor = PublishDescriptor;

    public ReserveStatus TryReserve(
        Tenant tenant, ReadOnlySpan<byte> key, int payloadBytes, in BlockTraits traits, out Reservation? reservation)
    {
        reservation = null;
        if (payloadBytes > maxBlockBytes)
        {
            return ReserveStatus.TooLarge;
        }

        var scope = tenant.ScopeOf(NameOrUnknown(traits.Model), NameOrUnknown(traits.Revision));
        var extentBytes = Extent.BytesFor(payloadBytes, Trailer.NameBytes(scope, key.Length));
        if (Extent.RoundUp(extentBytes) > tenant.Host.CapacityBytes)
        {
            return ReserveStatus.TooLarge;
        }

        if (!evictor.TryAllocate(tenant, extentBytes, out var extent))
        {
            Interlocked.Increment(ref counters.RefusedWrites);
            return ReserveStatus.Full;
        }

        var related = traits.CompanionOf.IsEmpty ? traits.ParentKey : traits.CompanionOf;
        var relatedDigest = related.IsEmpty ? default : registry.DigestOf(tenant, related);
        var block = new Block(scope, registry.DigestOf(tenant, key), key, payloadBytes, traits.Flags, relatedDigest) { Extent = extent };
        reservation = new Reservation(block);
        return ReserveStatus.Reserved;
    }

    public SealStatus Seal(Block block, in SealOptions options)
    {
        var status = registry.Publish(block, options, _publishDescriptor);
        Finish(block, status);
        return status;
    }

    /// <summary>Seals if what is there now is <paramref name="expected"/>. False: nothing happened and the block can be tried again.</summary>
    public bool TrySealOver(Block? expected, Block block, in SealOptions options, out SealStatus status)
    {
        if (!registry.TryPublishOver(expected, block, options, _publishDescriptor, out status))
        {
            return false;
        }

        Finish(block, status);
        return true;
    }

    public void Abort(Block block)
    {
        Interlocked.Increment(ref counters.AbortedWrites);
        block.Tenant.Host.Free(block.Tenant, block.Extent, wasPublished: false);
    }

    /// <summary>
    /// Makes a block of another node visible and opens it. It stays next to leave until somebody asks for it again, as a first hit on
    /// disk does. False: it was not taken, and its space is given back.
    /// </summary>
    public bool TrySealFetched(Block block, in SealOptions options)
    {
        if (registry.Publish(block, options, _publishDescriptor) != SealStatus.Sealed)
        {
            block.Tenant.Host.Free(block.Tenant, block.Extent, wasPublished: false);
            return false;
        }

        var isOpen = block.TryOpen();
        block.Tenant.Host.Retain(block, lowInterest: true);
        return isOpen;
    }

    private static void PublishDescriptor(Block block)
    {
        var host = block.Tenant.Host;
        block.IsVerified = true;
        block.StartResident();
        host.Own(block);
        host.Descriptors.Publish(block.Extent.Descriptor, Trailer.Write(host.Arena, block) with { ExpiresAt = block.ExpiresAt });
    }

    private static string NameOrUnknown(string? name) => name is null || Encoding.UTF8.GetByteCount(name) > Trailer.MaxNameBytes ? "" : name;

    private void Finish(Block block, SealStatus status)
    {
        if (status == SealStatus.Sealed)
        {
            block.Tenant.Host.Retain(block);
            Interlocked.Increment(ref counters.Writes);
            Interlocked.Add(ref counters.WrittenBytes, block.PayloadBytes);
            return;
        }

        block.Tenant.Host.Free(block.Tenant, block.Extent, wasPublished: false);
        Interlocked.Increment(ref status == SealStatus.AlreadyPresent ? ref counters.DuplicateWrites : ref counters.RefusedWrites);
    }
}
