using System.Diagnostics;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Leases;
using KvMesh.Engine.Progressive;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;

namespace KvMesh.Engine;

/// <summary>Blocks of content that are read while they are written.</summary>
public sealed partial class BlockEngine
{
    private ProgressiveTable Progressive => _host.Progressive;

    /// <summary>Blocks that are being written by section now.</summary>
    public int ProgressiveWrites => Progressive.Count;

    /// <summary>
    /// Sets aside space for a block of content that is published by section. It counts against the leases of the writer's connection until it is sealed or
    /// ends: <see cref="ReserveStatus.Full"/> when they hold as much as they may. The caller ends it: the last section seals it, or <see cref="Abandon"/>.
    /// </summary>
    /// <param name="sectionBytes">As <see cref="ProgressiveLimits.IsValid"/> allows.</param>
    public ReserveStatus TryBegin(
        Tenant tenant, ReadOnlySpan<byte> key, int payloadBytes, int sectionBytes, in BlockTraits traits, ConnectionLeases leases, out ProgressiveWrite? write)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(ProgressiveLimits.IsValid(payloadBytes, sectionBytes), false, nameof(sectionBytes));
        ArgumentOutOfRangeException.ThrowIfEqual(traits.IsContent, false, nameof(traits));
        write = null;
        var status = TryReserve(tenant, key, payloadBytes, traits, out var reservation);
        if (status != ReserveStatus.Reserved)
        {
            return status;
        }

        var block = reservation!.End();
        if (!leases.TryTake(block.Extent.AllocatedBytes))
        {
            _writer.Abort(block);
            return ReserveStatus.Full;
        }

        write = Progressive.Add(block, sectionBytes, leases, Now());
        return ReserveStatus.Reserved;
    }

    /// <summary>
    /// Publishes the section whose bytes stand in <see cref="ProgressiveWrite.NextSection"/> and were appended, while the caller holds the write; the last one
    /// seals the block. <see cref="SealStatus.AlreadyPresent"/>: somebody else sealed the content first, and the write is over.
    /// </summary>
    /// <param name="checksum">CRC-32C of the section.</param>
    /// <param name="isOver">Whether nothing more can be published.</param>
    public SealStatus Publish(ProgressiveWrite write, uint checksum, out bool isOver)
    {
        write.EndSection(Now());
        var isLast = write.Published + 1 == write.Sections;
        isOver = isLast || write.IsEnded || IsPresent(write.Block);
        if (!isOver)
        {
            write.Advance(checksum, Now());
            write.Key.Pulse();
            return SealStatus.Sealed;
        }

        if (!write.TryClaimEnd())
        {
            return SealStatus.ConditionFailed;
        }

        if (isLast)
        {
            // Readers of this very moment find either the write with all its sections or the sealed block.
            write.Advance(checksum, Now());
        }

        var status = isLast ? _writer.SealShared(write.Block) : _writer.RefuseShared();
        write.WasSealed = status == SealStatus.Sealed;
        if (write.WasSealed)
        {
            write.Block.Tenant.Host.Retain(write.Block);
        }

        Progressive.End(write);
        return status;
    }

    /// <summary>The section did not come, or came wrong: the writer may send it again.</summary>
    public void EndSection(ProgressiveWrite write) => write.EndSection(Now());

    /// <summary>Ends a write before its last section: its readers are told at once. Nothing happens when it has ended.</summary>
    public void Abandon(ProgressiveWrite write)
    {
        if (write.TryClaimEnd())
        {
            _writer.CountAbort();
            Progressive.End(write);
        }
    }

    /// <summary>
    /// Opens sections of a block that is here or being written: of the sealed block, else of the writer that is furthest, in both cases only if what the reader
    /// has is a part of it. Waits for the first. The caller disposes <paramref name="read"/> as soon as the bytes are sent.
    /// </summary>
    /// <param name="wait">Longest wait for a section that is not published yet.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public FollowStatus TryFollow(
        Tenant tenant, ReadOnlySpan<byte> key, in FollowPosition position, TimeSpan wait, Follower follower, bool losslessOnly, out SectionRead read, CancellationToken cancellationToken)
    {
        var startedAt = Stopwatch.GetTimestamp();
        var digest = _registry.DigestOf(tenant, key);
        var hasLookedAgain = false;
        read = default;
        while (true)
        {
            var group = Progressive.Find(digest);
            var version = group?.Version ?? 0;
            var isThere = false;
            if (_registry.Find(tenant, key) is { IsContent: true } && TryRead(tenant, key, position.Section == 0 ? ReadIntent.Use : ReadIntent.Inspect, out var block, losslessOnly))
            {
                // What has lost something ends nobody's write: readers of an exact writer go on with that.
                var isLossy = block.Loss is not null;
                var status = OpenSealed(block, digest, position, follower, out read);
                if (status != FollowStatus.Diverged || !isLossy)
                {
                    return status;
                }

                isThere = true;
            }

            if (Furthest(group, tenant, key, position, out var isWritten) is not { } write)
            {
                if (hasLookedAgain)
                {
                    return isWritten || isThere ? FollowStatus.Diverged : FollowStatus.Gone;
                }

                // Sealed between the two looks, perhaps: a block is there before its writer is not.
                hasLookedAgain = true;
                continue;
            }

            if (write.Published > position.Section)
            {
                if (write.TryHold())
                {
                    return OpenWritten(write, position, follower, out read);
                }

                hasLookedAgain = false;
                continue;
            }

            var rest = wait - Stopwatch.GetElapsedTime(startedAt);
            if (rest <= TimeSpan.Zero || cancellationToken.IsCancellationRequested)
            {
                return FollowStatus.NotYet;
            }

            group!.Wait(version, rest, cancellationToken);
            hasLookedAgain = false;
        }
    }

    /// <summary>Ends writes whose writers have published nothing for too long.</summary>
    internal void AbandonStalledWrites()
    {
        if (Progressive.Count > 0)
        {
            var now = Now();
            Progressive.Abandoned(now).ForEach(write =>
            {
                if (Progressive.IsAbandoned(write, now))
                {
                    Abandon(write);
                }
            });
        }
    }

    /// <summary>Whether the content is here already, as good as the one that is being written.</summary>
    private bool IsPresent(Block block) =>
        _registry.Find(block.Tenant, block.Key) is { IsContent: true, Loss: null } present && (present.IsLosslessOnly || !block.IsLosslessOnly);

    /// <summary>The writer that is furthest of those whose first sections are the reader's, or may turn out to be when it has come as far.</summary>
    /// <param name="isWritten">Whether anybody writes this content at all.</param>
    private static ProgressiveWrite? Furthest(ProgressiveKey? group, Tenant tenant, ReadOnlySpan<byte> key, in FollowPosition position, out bool isWritten)
    {
        ProgressiveWrite? furthest = null;
        isWritten = false;
        foreach (var write in group?.Writes ?? [])
        {
            if (write.IsEnded || write.Block.Scope.IsPurged || !write.Block.KeyEquals(tenant, key))
            {
                continue;
            }

            isWritten = true;
            var published = write.Published;
            var agrees = write.SectionBytes == position.SectionBytes && position.Section < write.Sections
                && (published < position.Section || write.ProofOf(position.Section) == position.Proof);
            if (agrees && (furthest is null || published > furthest.Published))
            {
                furthest = write;
            }
        }

        return furthest;
    }

    private static FollowStatus OpenWritten(ProgressiveWrite write, in FollowPosition position, Follower follower, out SectionRead read)
    {
        read = default;
        var heldBytes = write.Block.Extent.AllocatedBytes;
        if (!follower.Leases.TryTake(heldBytes))
        {
            write.Release();
            return FollowStatus.LeaseRefused;
        }

        read = new SectionRead(write, follower, heldBytes, position);
        return FollowStatus.Ready;
    }

    private static FollowStatus OpenSealed(in BlockRead block, KeyDigest digest, in FollowPosition position, Follower follower, out SectionRead read)
    {
        read = default;
        if (!Agrees(block, digest, position, follower))
        {
            block.Dispose();
            return FollowStatus.Diverged;
        }

        if (!follower.Leases.TryTake(block.HeldBytes))
        {
            block.Dispose();
            return FollowStatus.LeaseRefused;
        }

        read = new SectionRead(block, follower, block.HeldBytes, position);
        return FollowStatus.Ready;
    }

    /// <summary>Whether the first sections of a sealed block are those that a reader has. Leaves their proof with the reader.</summary>
    private static bool Agrees(in BlockRead block, KeyDigest digest, in FollowPosition position, Follower follower)
    {
        if (!ProgressiveLimits.IsValid(block.PayloadBytes, position.SectionBytes) || position.Section > ProgressiveLimits.SectionCount(block.PayloadBytes, position.SectionBytes))
        {
            return false;
        }

        var prefix = new SealedPrefix(digest, block.PayloadBytes, block.TableChecksum, position.SectionBytes, 0, 0);
        var known = follower.Prefix;
        if (known == prefix with { Sections = known.Sections, Proof = known.Proof } && known.Sections <= position.Section)
        {
            prefix = known;
        }

        var proof = prefix.Proof;
        for (var section = prefix.Sections; section < position.Section; section++)
        {
            var start = (int)((long)section * position.SectionBytes);
            proof = SectionProof.Append(proof, Crc32C.Compute(block.Payload.Slice(start, Math.Min(position.SectionBytes, block.PayloadBytes - start))));
        }

        if (proof != position.Proof)
        {
            return false;
        }

        follower.Prefix = prefix with { Sections = position.Section, Proof = proof };
        return true;
    }
}
