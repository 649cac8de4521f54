using KvMesh.Worker.Model.Numerics;

namespace KvMesh.Worker.Model.Cache;

/// <summary>Blocks in plain memory for the sequences of one process, up to a bound. Threads may share it.</summary>
public sealed class KvPagePool : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Stack<NativeBuffer<byte>> _free = new();
    private readonly List<NativeBuffer<byte>> _all = [];
    private bool _isDisposed;

    /// <param name="format">What blocks are.</param>
    /// <param name="capacityBlocks">Most blocks; memory is taken when they are first used.</param>
    public KvPagePool(KvPageFormat format, int capacityBlocks)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacityBlocks);
        Format = format;
        CapacityBlocks = capacityBlocks;
    }

    public KvPageFormat Format { get; }

    public int CapacityBlocks { get; }

    /// <summary>Blocks that no sequence has.</summary>
    public int FreeBlocks
    {
        get
        {
            lock (_lock)
            {
                return _free.Count + CapacityBlocks - _all.Count;
            }
        }
    }

    /// <summary>Pages of a new sequence, without a block yet.</summary>
    public PooledKvPages NewSequence() => new(this);

    /// <summary>Frees the memory; sequences must be gone.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
            _all.ForEach(block => block.Dispose());
            _all.Clear();
            _free.Clear();
        }
    }

    /// <summary>So many blocks or none.</summary>
    internal bool TryRent(int count, List<NativeBuffer<byte>> blocks)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (count > _free.Count + CapacityBlocks - _all.Count)
            {
                return false;
            }

            for (var index = 0; index < count; index++)
            {
                if (!_free.TryPop(out var block))
                {
                    block = new NativeBuffer<byte>(Format.BlockBytes);
                    _all.Add(block);
                }

                blocks.Add(block);
            }

            return true;
        }
    }

    internal void Return(List<NativeBuffer<byte>> blocks)
    {
        lock (_lock)
        {
            if (!_isDisposed)
            {
                blocks.ForEach(_free.Push);
            }
        }

        blocks.Clear();
    }
}

/// <summary>The pages of one sequence out of a <see cref="KvPagePool"/>. Disposing gives the blocks back.</summary>
public sealed class PooledKvPages : IKvPages, IDisposable
{
    private readonly KvPagePool _pool;
    private readonly List<NativeBuffer<byte>> _blocks = [];

    internal PooledKvPages(KvPagePool pool) => _pool = pool;

    public KvPageFormat Format => _pool.Format;

    public int CapacityTokens => _blocks.Count * Format.BlockTokens;

    public Span<byte> Block(int index) => _blocks[index].Span;

    /// <summary>Takes blocks until there is room for so many tokens; false, and none taken, when the pool has not enough.</summary>
    public bool TryReserve(int tokens)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        var needed = (int)(((long)tokens + Format.BlockTokens - 1) / Format.BlockTokens);
        return needed <= _blocks.Count || _pool.TryRent(needed - _blocks.Count, _blocks);
    }

    public void BeginLayer(int layer)
    {
    }

    public void EndLayer(int layer)
    {
    }

    public void Dispose() => _pool.Return(_blocks);
}
