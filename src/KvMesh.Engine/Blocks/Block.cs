using KvMesh.Engine.Coding;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Host;
using KvMesh.Engine.Retention;
using KvMesh.Protocol.Arena;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.Blocks;

/// <summary>
/// One content of one key, in one or more tiers. A key that is replaced gets a new block; the old one lives on, unseen, until
/// its last reader is done.
/// <para>
/// The state word decides who may touch the extent: <c>readers</c> (low bits) hold it in place; <c>Resident</c> says there is
/// one; <c>Claimed</c> gives it to one thread that loads or evicts it; <c>Dead</c> says that the block has left the index for
/// good. Whoever takes the last hold of a dead block frees its extent.
/// </para>
/// </summary>
public sealed class Block : Retained<Block>
{
    private const int Resident = 1 << 24;
    private const int Claimed = 1 << 25;
    private const int Dead = 1 << 26;
    private const int ReaderMask = Resident - 1;

    private readonly KeyBytes _key;
    private readonly BlockFlags _flags;
    private volatile bool _isKeptLossless;
    private int _word;
    private long _disk;

    internal Block(Scope scope, KeyDigest digest, ReadOnlySpan<byte> key, int payloadBytes, BlockFlags flags, KeyDigest related)
    {
        Scope = scope;
        Digest = digest;
        _key = new KeyBytes(key);
        PayloadBytes = payloadBytes;
        _flags = flags;
        Related = related;
    }

    public ReadOnlySpan<byte> Key => _key.Span;

    public int PayloadBytes { get; }

    public override ulong Fingerprint => Digest.Low;

    public override Block? Parent => Chain?.Parent?.Block;

    protected internal override Block? FirstChild => FirstBlock(Chain?.FirstChild);

    protected internal override Block? NextSibling => FirstBlock(Chain?.NextSibling);

    /// <summary>Whether blocks that follow this one are here, in any tier.</summary>
    public bool HasChildren => Chain is { Children: > 0 };

    /// <summary>Whether a block follows it that only the disk has: without this one there it could not be hit.</summary>
    internal bool IsFollowedBelowRam => HasFollower(static follower => follower is { IsOnDisk: true, IsInRam: false });

    internal ref readonly KeyBytes KeyBytes => ref _key;

    internal Scope Scope { get; }

    internal Tenant Tenant => Scope.Tenant;

    internal KeyDigest Digest { get; }

    internal BlockFlags Flags => _isKeptLossless ? _flags | BlockFlags.LosslessOnly : _flags;

    /// <summary>Digest of the parent, or of the block that a companion describes; see <see cref="BlockDescriptor.Parent"/>.</summary>
    internal KeyDigest Related { get; }

    internal bool HasParent => (Flags & BlockFlags.HasParent) != 0;

    internal bool IsContent => (Flags & BlockFlags.Content) != 0;

    /// <summary>Whether no copy of it may lose anything: its writer said so, or somebody who refers to it did since.</summary>
    internal bool IsLosslessOnly => (Flags & BlockFlags.LosslessOnly) != 0;

    internal bool IsCompanion => (Flags & BlockFlags.Companion) != 0;

    /// <summary>Next block of the index's bucket. Written under the bucket's stripe lock, read by anyone.</summary>
    internal Block? Next;

    /// <summary>Place among the blocks that follow each other. Null while nothing precedes or follows.</summary>
    internal ChainNode? Chain;

    /// <summary>The other half of a pair that lives and dies together.</summary>
    internal Block? Companion;

    /// <summary>Where it is in RAM. Once the block is in the index, it changes under the lock of its stripe and a claim only.</summary>
    internal Extent Extent;
    internal uint TableChecksum;
    internal uint TrailerChecksum;

    /// <summary>
    /// What its bytes have lost; null: they are those that were sealed. Changes together with <see cref="TableChecksum"/>, under the lock of its
    /// stripe and a claim only, when the last exact copy leaves.
    /// </summary>
    internal Loss? Loss;

    /// <summary>
    /// What the copy on disk is, where it is not what the block is now: an encoding that loses something of a block whose exact copy is in RAM.
    /// Changes while the block is held open, before <see cref="Disk"/> does; means nothing without a copy on disk.
    /// </summary>
    internal LossyCopy? LossyBelow;

    /// <summary>
    /// The block in fewer bytes, in RAM too; null: there is none. Comes under the lock of its stripe, while the block is held open or claimed; goes by
    /// one exchange, and whoever makes it ends the block's hold on it.
    /// </summary>
    internal EncodedCopy? Encoded;

    /// <summary>Its place among raw extents that need not stay; owned by <see cref="RawExtents"/>.</summary>
    internal LinkedListNode<RawPlace>? RawPlace;

    internal uint Hits;

    /// <summary>Unix milliseconds; see <see cref="BlockDescriptor.LeaseUntil"/>.</summary>
    internal long LeaseUntil;

    /// <summary>Unix milliseconds until which a pin keeps it; owned by the ledger of holds.</summary>
    internal long HeldUntil;

    /// <summary>Round in which this block, or one behind it, was found promised; negative: not promised. Owned by disk reclamation.</summary>
    internal int PromiseMark;

    /// <summary>Unix milliseconds; see <see cref="BlockDescriptor.ExpiresAt"/>.</summary>
    internal long ExpiresAt;

    /// <summary>Number of the record in which the block is being written to disk; 0: it is not. Whoever ends it meanwhile disowns the record.</summary>
    internal long WritingSequence;

    /// <summary>Whether the copy on disk says an earlier expiry than <see cref="ExpiresAt"/>, so that it should be written again.</summary>
    internal bool IsExpiryNewer;

    /// <summary>Whether the payload was compared with its table since this process has it.</summary>
    internal bool IsVerified;

    /// <summary>Whether every tier beyond this node has had its chance to take it.</summary>
    internal bool IsOffered;

    /// <summary>Whether nobody wanted it then.</summary>
    internal bool WasOfferedUnwanted;

    /// <summary>Number of the last drain of uses that took this block; owned by the touch buffer.</summary>
    internal int DrainMark;

    internal bool IsDead => (Volatile.Read(ref _word) & Dead) != 0;

    internal bool IsResident => (Volatile.Read(ref _word) & (Resident | Dead)) == Resident;

    /// <summary>Whether its bytes are in RAM, as they are or encoded.</summary>
    internal bool IsInRam => IsResident || (Volatile.Read(ref Encoded) is not null && !IsDead);

    internal bool IsOnDisk => Volatile.Read(ref _disk) != 0;

    /// <summary>Where the copy on disk is; one word, because reclamation moves it under the feet of readers.</summary>
    internal DiskLocation Disk
    {
        get => Unpack(Volatile.Read(ref _disk));
        set => Volatile.Write(ref _disk, Pack(value));
    }

    /// <summary>Whether a lease or a pin keeps it at that moment, in Unix milliseconds.</summary>
    internal bool IsPromisedAt(long now) => Volatile.Read(ref LeaseUntil) > now || Volatile.Read(ref HeldUntil) > now;

    /// <summary>Whether one thread is loading or evicting the block right now.</summary>
    internal bool IsClaimed => (Volatile.Read(ref _word) & Claimed) != 0;

    /// <summary>Bytes that the block takes, or would take, from an arena; what a lease on it counts for.</summary>
    internal long HeldBytes => Host.Extent.RoundUp(Host.Extent.BytesFor(PayloadBytes, _key.Length));

    internal BlockTiers Tiers => (IsInRam ? BlockTiers.Host : BlockTiers.None) | (IsOnDisk ? BlockTiers.Disk : BlockTiers.None);

    /// <summary>Holds the extent in place for one reader. False when the block is not in RAM, is being moved, or is gone.</summary>
    internal bool TryOpen()
    {
        while (true)
        {
            var word = Volatile.Read(ref _word);
            if ((word & (Resident | Claimed | Dead)) != Resident || (word & ReaderMask) == ReaderMask)
            {
                return false;
            }

            if (Interlocked.CompareExchange(ref _word, word + 1, word) == word)
            {
                return true;
            }
        }
    }

    /// <summary>Ends one reader's hold. True when the caller now has to free the extent of a dead block.</summary>
    internal bool CloseAndCheckFree()
    {
        Interlocked.Decrement(ref _word);
        return TryTakeExtentOfDead();
    }

    /// <summary>Gives the extent of a readerless block to the caller alone, or the right to load one.</summary>
    internal bool TryClaim(bool resident)
    {
        var expected = resident ? Resident : 0;
        return Interlocked.CompareExchange(ref _word, expected | Claimed, expected) == expected;
    }

    /// <summary>Ends a claim with the extent in place or gone. True when the block died meanwhile and its extent is the caller's to free.</summary>
    internal bool UnclaimAndCheckFree(bool resident)
    {
        if (resident)
        {
            Interlocked.Or(ref _word, Resident);
        }
        else
        {
            Interlocked.And(ref _word, ~Resident);
        }

        Interlocked.And(ref _word, ~Claimed);
        return TryTakeExtentOfDead();
    }

    /// <summary>From now on no copy may lose anything. Under the lock of its stripe, where encoded copies come as well.</summary>
    internal void KeepLossless_NeedsLock() => _isKeptLossless = true;

    /// <summary>The block's first appearance in RAM, before it is visible.</summary>
    internal void StartResident() => Volatile.Write(ref _word, Resident);

    /// <summary>Marks the block as gone for good. Once, by whoever took it out of the index, under the lock of its stripe.</summary>
    internal void Kill() => Interlocked.Or(ref _word, Dead);

    /// <summary>Takes the extent of a dead block that nobody holds. Exactly one caller gets it.</summary>
    internal bool TryTakeExtentOfDead() => Interlocked.CompareExchange(ref _word, Dead, Dead | Resident) == (Dead | Resident);

    /// <summary>Changes the disk location if it is still <paramref name="from"/>.</summary>
    internal bool TryMoveOnDisk(DiskLocation from, DiskLocation to) => Interlocked.CompareExchange(ref _disk, Pack(to), Pack(from)) == Pack(from);

    internal bool KeyEquals(Tenant tenant, ReadOnlySpan<byte> key) => ReferenceEquals(Tenant, tenant) && key.SequenceEqual(_key.Span);

    /// <summary>Keeps the use in the descriptor too, for the next process.</summary>
    protected override void OnUsed(long request)
    {
        if (!Extent.IsNone)
        {
            Tenant.Host.Arena.Descriptor(Extent.Descriptor).LastUse = request;
        }

        if (Encoded is { } copy)
        {
            // It may be given back at this moment: then the next user of that descriptor has a wrong place in an order, for the next process.
            Tenant.Host.Arena.Descriptor(copy.Extent.Descriptor).LastUse = request;
        }
    }

    private static Block? FirstBlock(ChainNode? node)
    {
        for (; node is not null; node = node.NextSibling)
        {
            if (node.Block is { } block)
            {
                return block;
            }
        }

        return null;
    }

    private static long Pack(DiskLocation location) => ((long)location.Segment << 32) | (location.Offset / Protocol.Limits.GranuleBytes);

    private static DiskLocation Unpack(long packed) => new((int)(packed >> 32), (packed & uint.MaxValue) * Protocol.Limits.GranuleBytes);
}
