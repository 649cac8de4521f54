using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.Blocks;

/// <summary>
/// Joins the halves of pairs that live and die together: a block, and the small companion that describes it. A companion that
/// comes first waits here, unseen, for its block.
/// </summary>
internal sealed class PairLedger
{
    private readonly Lock _lock = new();
    private readonly Dictionary<KeyDigest, Block> _waiting = [];
    private volatile int _waitingCount;
    private volatile bool _isUsed;

    /// <summary>
    /// A companion is in the index. It waits before it looks for its block, and a block looks after it is in the index, so one of
    /// the two finds the other.
    /// </summary>
    public void AddCompanion(Block companion, Func<KeyDigest, Block?> find)
    {
        _isUsed = true;
        lock (_lock)
        {
            _waiting[companion.Related] = companion;
            _waitingCount = _waiting.Count;
            Interlocked.MemoryBarrier();
            if (find(companion.Related) is { IsDead: false } main)
            {
                StopWaiting(companion);
                Join(main, companion);
            }
        }
    }

    /// <summary>A block is in the index. Returns the companion that was waiting for it.</summary>
    public Block? AddMain(Block main)
    {
        Interlocked.MemoryBarrier();
        if (_waitingCount == 0)
        {
            return null;
        }

        lock (_lock)
        {
            if (main.IsDead || !_waiting.TryGetValue(main.Digest, out var companion))
            {
                return null;
            }

            StopWaiting(companion);
            Join(main, companion);
            return companion;
        }
    }

    /// <summary>
    /// A better copy of a half is about to take its place: the other half is its partner from here on. Under the lock of the half's stripe, which
    /// nobody takes while holding this ledger's.
    /// </summary>
    public void Inherit(Block half, Block heir)
    {
        if (!_isUsed)
        {
            return;
        }

        lock (_lock)
        {
            if (half.Companion is { } other && ReferenceEquals(other.Companion, half))
            {
                half.Companion = null;
                heir.Companion = other;
                Volatile.Write(ref other.Companion, heir);
            }
        }
    }

    /// <summary>One half is gone: returns the other, which has to go too.</summary>
    public Block? Part(Block block)
    {
        if (!_isUsed)
        {
            return null;
        }

        lock (_lock)
        {
            StopWaiting(block);
            var other = block.Companion;
            block.Companion = null;
            if (other is not null && ReferenceEquals(other.Companion, block))
            {
                other.Companion = null;
                return other;
            }

            return null;
        }
    }

    private void StopWaiting(Block companion)
    {
        if (companion.IsCompanion && _waiting.TryGetValue(companion.Related, out var waiting) && ReferenceEquals(waiting, companion))
        {
            _waiting.Remove(companion.Related);
            _waitingCount = _waiting.Count;
        }
    }

    private static void Join(Block main, Block companion)
    {
        Volatile.Write(ref companion.Companion, main);
        main.Companion = companion;
    }
}
