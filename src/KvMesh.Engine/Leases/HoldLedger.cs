using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.Leases;

/// <summary>
/// Blocks that pins keep on this node, whatever clients ask for meanwhile: how many bytes, and until when. Unlike a lease a hold is nobody's to
/// take away but its giver's, so its bytes have a bound of their own. Any thread.
/// </summary>
internal sealed class HoldLedger(long mostBytes)
{
    private readonly Lock _lock = new();
    private readonly HashSet<Block> _held = [];
    private long _heldBytes;

    public long HeldBytes => Interlocked.Read(ref _heldBytes);

    public int Blocks
    {
        get
        {
            lock (_lock)
            {
                return _held.Count;
            }
        }
    }

    /// <summary>Keeps a block, or keeps it longer. False: the bound is reached. The caller looks afterwards whether the block is still alive.</summary>
    public bool TryHold(Block block, long until)
    {
        lock (_lock)
        {
            if (!_held.Contains(block))
            {
                if (_heldBytes + block.HeldBytes > mostBytes)
                {
                    return false;
                }

                _held.Add(block);
                Interlocked.Add(ref _heldBytes, block.HeldBytes);
            }

            Interlocked.Exchange(ref block.HeldUntil, Math.Max(block.HeldUntil, until));
            return true;
        }
    }

    /// <summary>
    /// A better copy of a held block takes its place: it is held instead, also where it is longer than the bound has room for. False: nothing was held.
    /// Under the lock of the block's stripe, which nobody takes while holding this ledger's.
    /// </summary>
    public bool Pass(Block from, Block to)
    {
        lock (_lock)
        {
            if (!_held.Remove(from))
            {
                return false;
            }

            Interlocked.Add(ref _heldBytes, (_held.Add(to) ? to.HeldBytes : 0) - from.HeldBytes);
            Volatile.Write(ref to.HeldUntil, Math.Max(to.HeldUntil, from.HeldUntil));
            return true;
        }
    }

    public void Release(Block block)
    {
        lock (_lock)
        {
            ReleaseNeedsLock(block);
        }
    }

    /// <summary>Forgets holds that have run out, and those of blocks that are gone.</summary>
    public void Expire(long now)
    {
        lock (_lock)
        {
            if (_held.Count > 0)
            {
                foreach (var block in _held.Where(block => block.HeldUntil <= now || block.IsDead).ToList())
                {
                    ReleaseNeedsLock(block);
                }
            }
        }
    }

    private void ReleaseNeedsLock(Block block)
    {
        if (_held.Remove(block))
        {
            Volatile.Write(ref block.HeldUntil, 0);
            Interlocked.Add(ref _heldBytes, -block.HeldBytes);
        }
    }
}
