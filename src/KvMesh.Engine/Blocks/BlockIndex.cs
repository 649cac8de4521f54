using System.Numerics;
using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.Blocks;

/// <summary>
/// Finds blocks by digest and full key. Readers take no lock and write nothing: a bucket is a list that is only ever prepended
/// to and unlinked from, and an unlinked block keeps its link, so a reader that stands on it goes on. Writers of one bucket
/// hold its stripe. The table has a fixed size, from the bound on blocks, so that nothing ever stops to grow it.
/// </summary>
internal sealed class BlockIndex
{
    private const int StripeCount = 256;

    private readonly Block?[] _buckets;
    private readonly Lock[] _stripes = new Lock[StripeCount];
    private readonly long _maxBlocks;
    private long _count;

    public BlockIndex(int maxBlocks)
    {
        _maxBlocks = maxBlocks;
        _buckets = new Block?[BitOperations.RoundUpToPowerOf2((uint)maxBlocks)];
        for (var stripe = 0; stripe < StripeCount; stripe++)
        {
            _stripes[stripe] = new Lock();
        }
    }

    public int BucketCount => _buckets.Length;

    public long Count => Interlocked.Read(ref _count);

    public bool IsFull => Count >= _maxBlocks;

    public Block? Find(in KeyDigest digest, Tenant tenant, ReadOnlySpan<byte> key)
    {
        for (var block = Volatile.Read(ref BucketOf(digest)); block is not null; block = Volatile.Read(ref block.Next))
        {
            if (block.Digest == digest && block.KeyEquals(tenant, key))
            {
                return block;
            }
        }

        return null;
    }

    /// <summary>Finds by digest alone, to link a chain: a false link may cost a hit, never give wrong bytes.</summary>
    public Block? Find(in KeyDigest digest)
    {
        for (var block = Volatile.Read(ref BucketOf(digest)); block is not null; block = Volatile.Read(ref block.Next))
        {
            if (block.Digest == digest)
            {
                return block;
            }
        }

        return null;
    }

    /// <summary>The lock that serialises all changes of one digest, and of every other digest of its bucket.</summary>
    public Lock StripeOf(in KeyDigest digest) => _stripes[digest.Low & (StripeCount - 1)];

    public void AddNeedsLock(Block block)
    {
        ref var bucket = ref BucketOf(block.Digest);
        block.Next = bucket;
        Volatile.Write(ref bucket, block);
        Interlocked.Increment(ref _count);
        block.Scope.Count(1);
    }

    /// <summary>
    /// Puts a block in the place of another one of the same key, in one write: a reader finds the one or the other, never neither. One that
    /// had found the old block before finds it dead, and looks again.
    /// </summary>
    public void ReplaceNeedsLock(Block old, Block block)
    {
        ref var link = ref BucketOf(old.Digest);
        while (!ReferenceEquals(link, old))
        {
            link = ref link!.Next;
        }

        block.Next = old.Next;
        Volatile.Write(ref link, block);
        old.Scope.Count(-1);
        block.Scope.Count(1);
    }

    /// <summary>Unlinks a block. False when it is not in the index.</summary>
    public bool RemoveNeedsLock(Block block)
    {
        ref var link = ref BucketOf(block.Digest);
        while (link is { } current)
        {
            if (ReferenceEquals(current, block))
            {
                Volatile.Write(ref link, current.Next);
                Interlocked.Decrement(ref _count);
                block.Scope.Count(-1);
                return true;
            }

            link = ref current.Next;
        }

        return false;
    }

    /// <summary>First block of a bucket; its <see cref="Block.Next"/> leads to the others.</summary>
    public Block? Bucket(int index) => Volatile.Read(ref _buckets[index]);

    private ref Block? BucketOf(in KeyDigest digest) => ref _buckets[digest.Low & (ulong)(_buckets.Length - 1)];
}
