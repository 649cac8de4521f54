using KvMesh.Engine.Retention;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Worker.Devices.Pages;

/// <summary>
/// Pages of one size in the memory of a device: the Gpu tier. Sequences take pages, fill them, and let the pool keep full blocks under their chain hash;
/// whoever has the same prefix shares them. A kept block stays while anybody uses it or a kept block follows it, and leaves when its
/// page is needed, as a retention policy of the Engine says.
/// </summary>
/// <remarks>
/// Any thread. A block is kept behind its parent only, so what is here of a chain is always a prefix. The pool trusts the device with the order of copies: a block
/// is kept when its bytes are in place, and a page that is being copied counts as used.
/// </remarks>
public sealed class DevicePagePool : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<BlockHash, DevicePage> _kept = [];
    private readonly LruPolicy<DevicePage> _retention = new LruPolicy<DevicePage>();
    private readonly RequestClock _clock;
    private readonly Stack<int> _free;

    // One thread at a time queues on a stream.
    private readonly SemaphoreSlim _streamTurn = new(1, 1);
    private readonly IDeviceStream _stream;
    private int _unused;
    private int _runs;
    private long _asked;
    private long _found;
    private long _evicted;
    private long _refused;
    private bool _isDisposed;

    /// <param name="device">Whose memory; it outlives the pool.</param>
    /// <param name="pageBytes">Bytes of a block.</param>
    /// <param name="capacityPages">Pages; their memory is taken now.</param>
    /// <param name="time">Clock of uses.</param>
    /// <exception cref="DeviceException">The device has not that much memory.</exception>
    public DevicePagePool(IDevice device, int pageBytes, int capacityPages, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(pageBytes);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacityPages);
        Device = device;
        PageBytes = pageBytes;
        CapacityPages = capacityPages;
        Buffer = device.Allocate((long)pageBytes * capacityPages);
        _clock = new RequestClock(time);
        _free = new Stack<int>(Enumerable.Range(0, capacityPages).Reverse());
        _stream = device.CreateStream();
    }

    public IDevice Device { get; }

    public int PageBytes { get; }

    public int CapacityPages { get; }

    /// <summary>All pages, one behind the other.</summary>
    public DeviceBuffer Buffer { get; }

    /// <summary>
    /// Told which blocks left for others, oldest first, so that a node can be told. Called without a lock by whoever needed the room, before it uses the pages. Set it before the first use.
    /// </summary>
    public Action<IReadOnlyList<BlockHash>>? Left { get; set; }

    /// <summary>
    /// Told of each block that others may share from now on, and of the block before it in its chain. Called without a lock by whoever keeps it. Set it before the first use.
    /// </summary>
    public Action<BlockHash, BlockHash>? Kept { get; set; }

    /// <summary>Pages that hold nothing, or a block that nobody uses.</summary>
    public int FreePages
    {
        get
        {
            lock (_lock)
            {
                return _free.Count + _unused;
            }
        }
    }

    public DevicePoolFigures Figures
    {
        get
        {
            lock (_lock)
            {
                return new DevicePoolFigures(CapacityPages, _free.Count, _kept.Count, CapacityPages - _free.Count - _unused, _asked, _found, _evicted, _refused);
            }
        }
    }

    /// <summary>Pages for a sequence: those of its prefix that are kept, and new ones behind them. Null, and nothing taken, while there are not enough.</summary>
    /// <param name="prefix">Chain hashes of the first blocks, as many as may be shared.</param>
    /// <param name="pages">Pages in all.</param>
    public DevicePageRun? TryTake(ReadOnlySpan<BlockHash> prefix, int pages)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(pages);
        var left = new List<BlockHash>();
        DevicePageRun? run;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            run = TryTake_NeedsLock(prefix[..Math.Min(prefix.Length, pages)], pages, left);
        }

        Tell(left);
        return run;
    }

    /// <summary>How many blocks of a chain are kept, from the first on.</summary>
    public int Match(ReadOnlySpan<BlockHash> chain)
    {
        lock (_lock)
        {
            var count = 0;
            while (count < chain.Length && _kept.ContainsKey(chain[count]))
            {
                count++;
            }

            return count;
        }
    }

    public bool Contains(in BlockHash hash)
    {
        lock (_lock)
        {
            return _kept.ContainsKey(hash);
        }
    }

    /// <summary>Copies a kept block out, as for a node that asks for it. False: it is not kept (any more).</summary>
    /// <param name="hash">The block.</param>
    /// <param name="destination">At least a page.</param>
    /// <param name="cancellationToken">Ends the wait for others that copy; a copy under way is waited for.</param>
    /// <exception cref="DeviceException">The copy failed.</exception>
    public async ValueTask<bool> CopyOutAsync(BlockHash hash, Memory<byte> destination, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, PageBytes);
        await _streamTurn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (Use(hash) is not { } page)
            {
                return false;
            }

            try
            {
                using var pin = destination.Pin();
                _stream.CopyToHost(AddressOf(pin), Buffer, Offset(page.Index), PageBytes);
                await DoneAsync(_stream).ConfigureAwait(false);
                return true;
            }
            finally
            {
                GiveBack(page);
            }
        }
        finally
        {
            _streamTurn.Release();
        }
    }

    /// <summary>Keeps a block whose bytes come from the host. False: there is no room, its parent is not kept, or the block is kept already.</summary>
    /// <param name="hash">The block.</param>
    /// <param name="parent">The block before it in its chain; <see cref="BlockHash.Root"/> for the first.</param>
    /// <param name="bytes">A page.</param>
    /// <param name="cancellationToken">Ends the wait for others that copy; a copy under way is waited for.</param>
    /// <exception cref="DeviceException">The copy failed.</exception>
    public async ValueTask<bool> TryAddAsync(BlockHash hash, BlockHash parent, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (bytes.Length != PageBytes)
        {
            throw new ArgumentException($"A block of this pool has {PageBytes} bytes; {bytes.Length} were given.", nameof(bytes));
        }

        await _streamTurn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            // The parent must not be the one that makes room.
            var before = parent == BlockHash.Root ? null : Use(parent);
            if (before is null && parent != BlockHash.Root)
            {
                return false;
            }

            try
            {
                return !Contains(hash) && await TryFillAsync(hash, parent, bytes).ConfigureAwait(false);
            }
            finally
            {
                if (before is not null)
                {
                    GiveBack(before);
                }
            }
        }
        finally
        {
            _streamTurn.Release();
        }
    }

    /// <summary>Forgets a block. False while somebody uses it or a kept block follows it, and when it is not kept.</summary>
    public bool Remove(in BlockHash hash)
    {
        lock (_lock)
        {
            if (!_kept.TryGetValue(hash, out var page) || page.Users > 0 || page.HasChildren)
            {
                return false;
            }

            Leave_NeedsLock(page);
            return true;
        }
    }

    /// <summary>
    /// Lets nobody find a block any more, as one that was removed in the mesh. Who uses it goes on; its page has room for others when nobody does and nothing follows it.
    /// False: it is not kept.
    /// </summary>
    public bool Forget(in BlockHash hash)
    {
        lock (_lock)
        {
            if (!_kept.Remove(hash, out var page))
            {
                return false;
            }

            page.IsForgotten = true;
            if (page is { Users: 0, HasChildren: false })
            {
                Leave_NeedsLock(page);
            }

            return true;
        }
    }

    /// <summary>Frees the memory; sequences must be gone.</summary>
    /// <exception cref="InvalidOperationException">Some are not.</exception>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_isDisposed)
            {
                return;
            }

            if (_runs > 0)
            {
                throw new InvalidOperationException($"{_runs} sequences still have pages of this pool.");
            }

            _isDisposed = true;
            _kept.Clear();
        }

        _stream.Dispose();
        Device.Free(Buffer);
        _streamTurn.Dispose();
    }

    internal long Offset(int index) => (long)index * PageBytes;

    /// <summary>Keeps a run's page behind a parent. Null when the parent is not kept, or the block is kept already.</summary>
    internal DevicePage? TryKeep(int index, in BlockHash hash, in BlockHash parent)
    {
        DevicePage page;
        lock (_lock)
        {
            DevicePage? before = null;
            if (_kept.ContainsKey(hash) || (parent != BlockHash.Root && !_kept.TryGetValue(parent, out before)))
            {
                return null;
            }

            page = new DevicePage(hash, index, before) { Users = 1 };
            _kept.Add(hash, page);
            _retention.Add(page, _clock.Next(), lowInterest: false);
        }

        Kept?.Invoke(hash, parent);
        return page;
    }

    /// <summary>A run is over. Its last block counts as given back first.</summary>
    internal void Return(ReadOnlySpan<DevicePage?> kept, ReadOnlySpan<int> pages)
    {
        lock (_lock)
        {
            _runs--;
            var request = _clock.Next();
            for (var index = pages.Length - 1; index >= 0; index--)
            {
                if (kept[index] is { } page)
                {
                    _retention.Touch(page, request);
                    GiveBack_NeedsLock(page);
                }
                else
                {
                    _free.Push(pages[index]);
                }
            }
        }
    }

    private static unsafe nint AddressOf(in System.Buffers.MemoryHandle pin) => (nint)pin.Pointer;

    private static Task DoneAsync(IDeviceStream stream)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        stream.WhenDone(failure =>
        {
            if (failure is null)
            {
                done.SetResult();
            }
            else
            {
                done.SetException(failure);
            }
        });
        return done.Task;
    }

    private async ValueTask<bool> TryFillAsync(BlockHash hash, BlockHash parent, ReadOnlyMemory<byte> bytes)
    {
        using var run = TryTake([], 1);
        if (run is null)
        {
            return false;
        }

        using (var pin = bytes.Pin())
        {
            _stream.CopyToDevice(Buffer, run.Offset(0), AddressOf(pin), PageBytes);
            await DoneAsync(_stream).ConfigureAwait(false);
        }

        return run.KeepBehind(0, hash, parent);
    }

    private DevicePageRun? TryTake_NeedsLock(ReadOnlySpan<BlockHash> prefix, int pages, List<BlockHash> left)
    {
        var shared = new List<DevicePage>();
        while (shared.Count < prefix.Length && _kept.TryGetValue(prefix[shared.Count], out var page))
        {
            shared.Add(page);
        }

        shared.ForEach(Use_NeedsLock);
        if (!TryMakeRoom_NeedsLock(pages - shared.Count, left))
        {
            shared.ForEach(GiveBack_NeedsLock);
            _refused++;
            return null;
        }

        _asked += prefix.Length;
        _found += shared.Count;
        var request = _clock.Next();
        for (var index = shared.Count - 1; index >= 0; index--)
        {
            _retention.Touch(shared[index], request);
        }

        _runs++;
        var fresh = Enumerable.Range(0, pages - shared.Count).Select(_ => _free.Pop());
        return new DevicePageRun(this, [.. shared, .. new DevicePage?[pages - shared.Count]], [.. shared.Select(page => page.Index), .. fresh]);
    }

    /// <summary>Makes blocks leave until so many pages are free; none leaves where that cannot be enough.</summary>
    private bool TryMakeRoom_NeedsLock(int pages, List<BlockHash> left)
    {
        if (pages > _free.Count + _unused)
        {
            return false;
        }

        while (_free.Count < pages)
        {
            // A block that nobody uses may still be the parent of one in use.
            if (_retention.NextVictim(Judge) is not { } victim)
            {
                return false;
            }

            _evicted++;
            Leave_NeedsLock(victim);
            if (!victim.IsForgotten)
            {
                left.Add(victim.Hash);
            }
        }

        return true;
    }

    private static VictimVerdict Judge(DevicePage candidate) =>
        candidate.Users > 0 ? VictimVerdict.InUse : candidate.HasChildren ? VictimVerdict.HasChildren : VictimVerdict.Take;

    private void Leave_NeedsLock(DevicePage page)
    {
        _retention.Remove(page);
        page.Leave();
        if (!page.IsForgotten)
        {
            _kept.Remove(page.Hash);
        }

        _free.Push(page.Index);
        _unused--;
    }

    private DevicePage? Use(in BlockHash hash)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (!_kept.TryGetValue(hash, out var page))
            {
                return null;
            }

            Use_NeedsLock(page);
            return page;
        }
    }

    private void GiveBack(DevicePage page)
    {
        lock (_lock)
        {
            GiveBack_NeedsLock(page);
        }
    }

    private void Use_NeedsLock(DevicePage page)
    {
        if (page.Users++ == 0)
        {
            _unused--;
        }
    }

    private void GiveBack_NeedsLock(DevicePage page)
    {
        if (--page.Users == 0)
        {
            _unused++;
        }
    }

    private void Tell(List<BlockHash> left)
    {
        if (left.Count > 0)
        {
            Left?.Invoke(left);
        }
    }
}
