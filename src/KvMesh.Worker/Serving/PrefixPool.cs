using KvMesh.Protocol.Sequences;
using KvMesh.Worker.Model.Cache;
using KvMesh.Worker.Model.Numerics;

namespace KvMesh.Worker.Serving;

/// <summary>
/// Blocks in plain memory. Full blocks that nobody uses are kept until their memory is needed, and go in the order of their last use; as a sequence gives
/// its last block back first, a child goes before its parent. Threads may share it.
/// </summary>
internal sealed class PrefixPool : IBlockPool
{
    private readonly Lock _lock = new();
    private readonly KvPagePool _memory;
    private readonly Dictionary<BlockHash, KeptBlock> _kept = [];

    // Kept blocks that nobody uses; the first one goes first.
    private readonly LinkedList<KeptBlock> _unused = new();

    public PrefixPool(KvPageFormat format, int capacityBlocks) => _memory = new KvPagePool(format, capacityBlocks);

    public KvPageFormat Format => _memory.Format;

    public int CapacityBlocks => _memory.CapacityBlocks;

    /// <summary>Blocks that no sequence uses.</summary>
    public int FreeBlocks
    {
        get
        {
            lock (_lock)
            {
                return _memory.FreeBlocks + _unused.Count;
            }
        }
    }

    public IBlockRun? TryTake(ReadOnlySpan<BlockHash> prefix, int blocks)
    {
        lock (_lock)
        {
            var shared = new List<KeptBlock>();
            while (shared.Count < Math.Min(prefix.Length, blocks) && _kept.TryGetValue(prefix[shared.Count], out var kept))
            {
                shared.Add(kept);
            }

            shared.ForEach(Use_NeedsLock);
            var fresh = new List<NativeBuffer<byte>>();
            while (!_memory.TryRent(blocks - shared.Count, fresh))
            {
                if (_unused.First is not { } oldest || blocks - shared.Count > _memory.FreeBlocks + _unused.Count)
                {
                    shared.Reverse();
                    shared.ForEach(GiveBack_NeedsLock);
                    return null;
                }

                Forget_NeedsLock(oldest.Value);
            }

            return new Run(this, shared, fresh);
        }
    }

    public void Dispose() => _memory.Dispose();

    private void Use_NeedsLock(KeptBlock block)
    {
        if (block.Users++ == 0)
        {
            _unused.Remove(block.Place);
        }
    }

    private void GiveBack_NeedsLock(KeptBlock block)
    {
        if (--block.Users == 0)
        {
            _unused.AddLast(block.Place);
        }
    }

    private void Forget_NeedsLock(KeptBlock block)
    {
        _unused.Remove(block.Place);
        _kept.Remove(block.Hash);
        _memory.Return([block.Memory]);
    }

    private sealed class KeptBlock
    {
        public KeptBlock(BlockHash hash, NativeBuffer<byte> memory)
        {
            Hash = hash;
            Memory = memory;
            Place = new LinkedListNode<KeptBlock>(this);
        }

        public BlockHash Hash { get; }

        public NativeBuffer<byte> Memory { get; }

        public LinkedListNode<KeptBlock> Place { get; }

        public int Users { get; set; }
    }

    private sealed class Run : IBlockRun
    {
        private readonly PrefixPool _pool;
        private readonly NativeBuffer<byte>[] _blocks;

        // Null: the sequence's own.
        private readonly KeptBlock?[] _kept;
        private bool _isDisposed;

        public Run(PrefixPool pool, List<KeptBlock> shared, List<NativeBuffer<byte>> fresh)
        {
            _pool = pool;
            Shared = shared.Count;
            _blocks = [.. shared.Select(block => block.Memory), .. fresh];
            _kept = [.. shared, .. new KeptBlock?[fresh.Count]];
        }

        public int Shared { get; }

        public int Count => _blocks.Length;

        public Span<byte> Block(int index) => _blocks[index].Span;

        public void Keep(int index, in BlockHash hash)
        {
            lock (_pool._lock)
            {
                // Whoever computed the same block before is the one that others share.
                if (_kept[index] is null && !_pool._kept.ContainsKey(hash))
                {
                    _kept[index] = new KeptBlock(hash, _blocks[index]) { Users = 1 };
                    _pool._kept.Add(hash, _kept[index]!);
                }
            }
        }

        public void Dispose()
        {
            lock (_pool._lock)
            {
                if (_isDisposed)
                {
                    return;
                }

                _isDisposed = true;
                for (var index = _blocks.Length - 1; index >= 0; index--)
                {
                    if (_kept[index] is { } kept)
                    {
                        _pool.GiveBack_NeedsLock(kept);
                    }
                    else
                    {
                        _pool._memory.Return([_blocks[index]]);
                    }
                }
            }
        }
    }
}
