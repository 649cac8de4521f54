using KvMesh.Protocol.Sequences;

namespace KvMesh.Worker.Devices.Pages;

/// <summary>
/// The pages of one sequence: first those that it shares, which it only reads, then its own. Whoever has it uses it from one thread at a time, and disposes it when
/// no copy and no computation touches the pages any more.
/// </summary>
public sealed class DevicePageRun : IDisposable
{
    private readonly DevicePagePool _pool;
    private readonly DevicePage?[] _kept;
    private readonly int[] _pages;

    // Hash of each block that was offered to the pool, its own copy or not.
    private readonly BlockHash[] _hashes;
    private bool _isDisposed;

    internal DevicePageRun(DevicePagePool pool, DevicePage?[] kept, int[] pages)
    {
        _pool = pool;
        _kept = kept;
        _pages = pages;
        _hashes = [.. kept.Select(page => page?.Hash ?? BlockHash.Root)];
        Shared = kept.Count(page => page is not null);
    }

    /// <summary>Pages from the first on that were kept when the run was taken: full, and not to be written.</summary>
    public int Shared { get; }

    public int Count => _pages.Length;

    public int PageBytes => _pool.PageBytes;

    /// <summary>Where the pages are, for streams.</summary>
    public DeviceBuffer Buffer => _pool.Buffer;

    /// <summary>Which pages of <see cref="Buffer"/> they are, for gathering and scattering.</summary>
    public ReadOnlySpan<int> Pages => _pages;

    /// <summary>First byte of a page in <see cref="Buffer"/>.</summary>
    public long Offset(int index) => _pool.Offset(_pages[index]);

    /// <summary>Bytes of a page, where the processor reads the device's memory.</summary>
    public Span<byte> Block(int index)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        return _pool.Buffer.Span(Offset(index), _pool.PageBytes);
    }

    /// <summary>
    /// A page is full and will not change any more: others may share it. Blocks are kept in order, each behind the one before it. False: the block is kept already,
    /// from another sequence, or what came before it is not; the page stays this run's own.
    /// </summary>
    public bool Keep(int index, in BlockHash hash)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        var parent = index > 0 ? _hashes[index - 1] : BlockHash.Root;
        if (index > 0 && parent == BlockHash.Root)
        {
            throw new ArgumentException($"Block {index} of a run is kept behind block {index - 1}, which was not kept yet.", nameof(index));
        }

        return KeepBehind(index, hash, parent);
    }

    /// <summary>Gives the pages back. What was kept stays as long as there is room.</summary>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            _pool.Return(_kept, _pages);
        }
    }

    /// <summary><see cref="Keep"/> for whoever knows the block before.</summary>
    internal bool KeepBehind(int index, in BlockHash hash, in BlockHash parent)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        if (_kept[index] is not null)
        {
            return false;
        }

        _hashes[index] = hash;
        _kept[index] = _pool.TryKeep(_pages[index], hash, parent);
        return _kept[index] is not null;
    }
}
