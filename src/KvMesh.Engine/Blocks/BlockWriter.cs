using System.Text;
using KvMesh.Engine.Advice;
using KvMesh.Engine.Host;
using KvMesh.Engine.Progressive;
using KvMesh.Engine.Telemetry;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Blocks;

/// <summary>Brings blocks into RAM: reserve, fill, seal or abort.</summary>
/// <param name="progressive">Is told of each seal, so that readers of the content that wait for another writer go on.</param>
internal sealed class BlockWriter(BlockRegistry registry, Evictor evictor, EngineCounters counters, int maxBlockBytes, ProgressiveTable? progressive = null)
{
    private readonly Action<Block> _publishDescriptor = PublishDescriptor;
    private readonly Action<Block> _publishOpened = PublishOpened;

    public ReserveStatus TryReserve(
        Tenant tenant, ReadOnlySpan<byte> key, int payloadBytes, in BlockTraits traits, out Reservation? reservation, Loss? loss = null)
    {
        reservation = null;
        if (payloadBytes > maxBlockBytes)
        {
            return ReserveStatus.TooLarge;
        }

        if (tenant.Scopes.Of(NameOrUnknown(traits.Model), NameOrUnknown(traits.Revision)) is not { } scope)
        {
            Interlocked.Increment(ref counters.RefusedWrites);
            return ReserveStatus.Full;
        }

        var extentBytes = Extent.BytesFor(payloadBytes, Trailer.NameBytes(scope, key.Length, loss));
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
        var block = new Block(scope, registry.DigestOf(tenant, key), key, payloadBytes, traits.Flags, relatedDigest) { Extent = extent, Loss = loss };
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

    /// <summary>
    /// Seals a block whose extent others hold too: it is opened once for all of them before it is visible, and whatever the outcome they give the extent back.
    /// </summary>
    public SealStatus SealShared(Block block)
    {
        var status = registry.Publish(block, default, _publishOpened);
        Count(block, status);
        return status;
    }

    /// <summary>Counts a block that others hold too, and that somebody else sealed first.</summary>
    public SealStatus RefuseShared()
    {
        Interlocked.Increment(ref counters.DuplicateWrites);
        return SealStatus.AlreadyPresent;
    }

    public void CountAbort() => Interlocked.Increment(ref counters.AbortedWrites);

    public void Abort(Block block)
    {
        Interlocked.Increment(ref counters.AbortedWrites);
        block.Tenant.Host.Free(block.Tenant, block.Extent, wasPublished: false);
    }

    /// <summary>
    /// Makes a block of another node visible and opens it. One that a client asked for once stays next to leave until somebody asks for it
    /// again, as a first hit on disk does; one that was ordered is expected to be used, and stays as long as one that was just written. False: it
    /// was not taken, and its space is given back.
    /// </summary>
    public bool TrySealFetched(Block block, in SealOptions options, bool wasOrdered)
    {
        if (registry.Publish(block, options, _publishDescriptor) != SealStatus.Sealed)
        {
            block.Tenant.Host.Free(block.Tenant, block.Extent, wasPublished: false);
            return false;
        }

        var isOpen = block.TryOpen();
        block.Tenant.Host.Retain(block, lowInterest: !wasOrdered);
        NotePlaced(block);
        progressive?.NoteSeal(block);
        return isOpen;
    }

    /// <summary>What a seal does once nothing can refuse the block any more.</summary>
    internal static void PublishDescriptor(Block block)
    {
        var host = block.Tenant.Host;
        block.IsVerified = true;
        block.StartResident();
        host.Own(block);
        host.Descriptors.Publish(block.Extent.Descriptor, Trailer.Write(host.Arena, block) with { ExpiresAt = block.ExpiresAt, LeaseUntil = Math.Max(block.LeaseUntil, block.HeldUntil) });
    }

    private static void PublishOpened(Block block)
    {
        PublishDescriptor(block);
        block.TryOpen();
    }

    private static string NameOrUnknown(string? name) => name is null || Encoding.UTF8.GetByteCount(name) > Trailer.MaxNameBytes ? "" : name;

    private static void NotePlaced(Block block)
    {
        if (!block.IsCompanion)
        {
            block.Tenant.Host.Advisor.Place(KeyHash.Of(block.Tenant, block.Key), (int)Extent.RoundUp(block.PayloadBytes));
        }
    }

    private void Finish(Block block, SealStatus status)
    {
        if (status == SealStatus.Sealed)
        {
            block.Tenant.Host.Retain(block);
            NotePlaced(block);
        }
        else
        {
            block.Tenant.Host.Free(block.Tenant, block.Extent, wasPublished: false);
        }

        progressive?.NoteSeal(block);
        Count(block, status);
    }

    private void Count(Block block, SealStatus status)
    {
        if (status == SealStatus.Sealed)
        {
            Interlocked.Increment(ref counters.Writes);
            Interlocked.Add(ref counters.WrittenBytes, block.PayloadBytes);
            return;
        }

        Interlocked.Increment(ref status == SealStatus.AlreadyPresent ? ref counters.DuplicateWrites : ref counters.RefusedWrites);
    }
}
