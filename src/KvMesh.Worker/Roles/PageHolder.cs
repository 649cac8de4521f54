using System.Buffers;
using KvMesh.Client.Holders;
using KvMesh.Protocol;
using KvMesh.Protocol.Sequences;
using KvMesh.Worker.Devices.Pages;
using KvMesh.Worker.Mesh;
using Microsoft.Extensions.Logging;

namespace KvMesh.Worker.Roles;

/// <summary>
/// The worker's side of the Gpu tier: tells its node which blocks its pages keep, hands them over when the node asks, and lets go of what was removed in the mesh.
/// Whoever computes only leaves a note. The pool decides alone what a page is: once a block has left, it is declined, whether the node has heard of it or not.
/// </summary>
/// <remarks>
/// Any thread may note a change. One loop brings the node up to date, by what the pool keeps when it looks, so that neither order nor number of the notes matters.
/// Disposed before the pool.
/// </remarks>
internal sealed partial class PageHolder : IAsyncDisposable
{
    /// <summary>Changes that the node is told of at a time.</summary>
    private const int ChangesAtOnce = 512;

    private readonly Lock _lock = new();
    private readonly DevicePagePool _pool;
    private readonly BlockParts _parts;
    private readonly MeshLink _link;
    private readonly MeshCounters _counters;
    private readonly ILogger _logger;
    private readonly BlockHolderOptions _options;
    private readonly CancellationTokenSource _stopping = new();
    private readonly SemaphoreSlim _changed = new(0, 1);
    private readonly Task _running;

    // What is kept and what the node was told of: at most twice the pages, since what has left and was never told of is not in it.
    private readonly Dictionary<BlockHash, Note> _notes = [];
    private readonly LinkedList<Note> _pending = new();
    private readonly LinkedList<Note> _refused = new();
    private volatile BlockHolder? _holder;
    private bool _wasRefused;

    /// <param name="pool">Whose blocks; its news are this one's from now on.</param>
    /// <param name="parts">How blocks are cut.</param>
    /// <param name="link">The worker's node.</param>
    /// <param name="handOvers">Most blocks that are handed over at a time.</param>
    /// <param name="counters">Where it counts.</param>
    /// <param name="logger">Where it tells of what the node refuses.</param>
    public PageHolder(DevicePagePool pool, BlockParts parts, MeshLink link, int handOvers, MeshCounters counters, ILogger<PageHolder> logger)
    {
        (_pool, _parts, _link, _counters, _logger) = (pool, parts, link, counters, logger);
        _options = new BlockHolderOptions { Fill = FillAsync, Forgotten = Forget, HandOvers = handOvers };
        pool.Kept = Keep;
        pool.Left = left =>
        {
            foreach (var hash in left)
            {
                Change(hash);
            }
        };
        _running = Task.Run(RunAsync);
    }

    /// <summary>Parts of blocks that the node took.</summary>
    public long HandedOver => _holder?.HandedOver ?? 0;

    /// <summary>Why a page could not be copied last; null: each could.</summary>
    public Exception? LastFailure => _holder?.LastFailure;

    /// <summary>Returns when nobody reads the pool any more.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        if (_holder is { } holder)
        {
            // Ends what waits for the node.
            await holder.DisposeAsync().ConfigureAwait(false);
        }

        await _running.ConfigureAwait(false);
        _stopping.Dispose();
    }

    private void Keep(BlockHash hash, BlockHash parent)
    {
        lock (_lock)
        {
            if (!_notes.TryGetValue(hash, out var note))
            {
                _notes.Add(hash, note = new Note(hash, parent));
            }

            Queue_NeedsLock(note);
        }

        Wake();
    }

    /// <summary>A block that was kept is not, or may not be, any more.</summary>
    private void Change(BlockHash hash)
    {
        lock (_lock)
        {
            if (_notes.TryGetValue(hash, out var note))
            {
                if (note.IsTold)
                {
                    Queue_NeedsLock(note);
                }
                else
                {
                    Drop_NeedsLock(note);
                }
            }
        }

        Wake();
    }

    private void Forget(HeldBlock block)
    {
        var hash = new BlockHash(block.Hash.Span);
        if (_pool.Forget(hash))
        {
            _counters.Add(figures => figures with { ForgottenBlocks = figures.ForgottenBlocks + 1 });
        }

        // Its other parts are announced still.
        Change(hash);
    }

    private async ValueTask<bool> FillAsync(HeldBlock block, Memory<byte> destination, CancellationToken cancellationToken)
    {
        var part = Enumerable.Range(0, _parts.Count).First(index => _parts.Scope(index).Bytes.Span.SequenceEqual(block.Scope.Bytes.Span));
        var page = ArrayPool<byte>.Shared.Rent(_pool.PageBytes);
        try
        {
            // The page counts as used while it is copied, and a block that has left is not found: whatever comes out is this block.
            if (!await _pool.CopyOutAsync(new BlockHash(block.Hash.Span), page, cancellationToken).ConfigureAwait(false))
            {
                return false;
            }

            for (var layer = 0; layer < _parts.Layers; layer++)
            {
                _parts.CopyOut(page, part, layer, destination.Span.Slice(layer * _parts.SectionBytes, _parts.SectionBytes));
            }

            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(page);
        }
    }

    private async Task RunAsync()
    {
        try
        {
            // Null: an address that is none.
            if (await _link.WaitAsync(Timeout.InfiniteTimeSpan, _stopping.Token).ConfigureAwait(false) is { } client)
            {
                var holder = client.HoldBlocks(_options);
                await using (holder.ConfigureAwait(false))
                {
                    _holder = holder;
                    await TellAsync(holder).ConfigureAwait(false);
                }
            }
        }
        catch (Exception error) when (error is OperationCanceledException or ObjectDisposedException && _stopping.IsCancellationRequested)
        {
            // The worker ends, and with its connections its announcements.
        }
#pragma warning disable CA1031 // The root of the loop: the worker goes on without, and its announcements have ended.
        catch (Exception error)
#pragma warning restore CA1031
        {
            LogFailed(error);
        }
    }

    private async Task TellAsync(BlockHolder holder)
    {
        while (true)
        {
            await _changed.WaitAsync(_stopping.Token).ConfigureAwait(false);
            while (Take() is { Count: > 0 } changes)
            {
                // What has left goes first: it makes room for others.
                var kept = changes.ToLookup(note => _pool.Contains(note.Hash));
                await WithdrawAsync(holder, [.. kept[false]]).ConfigureAwait(false);
                foreach (var run in Runs(kept[true]))
                {
                    await AnnounceAsync(holder, run).ConfigureAwait(false);
                }
            }
        }
    }

    private List<Note> Take()
    {
        lock (_lock)
        {
            var changes = _pending.Take(ChangesAtOnce).ToList();
            foreach (var note in changes)
            {
                _pending.Remove(note.Place);
                note.IsTold = true;
            }

            return changes;
        }
    }

    private async Task WithdrawAsync(BlockHolder holder, List<Note> left)
    {
        if (left.Count == 0)
        {
            return;
        }

        await WithdrawAsync(holder, HashesOf(left)).ConfigureAwait(false);
        lock (_lock)
        {
            foreach (var note in left)
            {
                note.IsTold = false;
                if (note.Place.List is null)
                {
                    Drop_NeedsLock(note);
                }

                // There is room for one that was refused.
                if (_refused.First is { } refused)
                {
                    Queue_NeedsLock(refused.Value);
                }
            }
        }
    }

    private async Task WithdrawAsync(BlockHolder holder, byte[] hashes)
    {
        for (var part = 0; part < _parts.Count; part++)
        {
            await holder.WithdrawAsync(_parts.Scope(part), hashes, _stopping.Token).ConfigureAwait(false);
        }
    }

    private async Task AnnounceAsync(BlockHolder holder, List<Note> run)
    {
        var hashes = HashesOf(run);
        var parent = run[0].Parent == BlockHash.Root ? [] : run[0].Parent.ToArray();
        for (var part = 0; part < _parts.Count; part++)
        {
            var result = await holder.AnnounceAsync(_parts.Scope(part), hashes, parent, _parts.PartBytes, _stopping.Token).ConfigureAwait(false);
            if (result.Status == AnnounceStatus.Refused)
            {
                if (!_wasRefused)
                {
                    LogRefused(run.Count, result.Refusal);
                    _wasRefused = true;
                }

                await WithdrawAsync(holder, hashes).ConfigureAwait(false);
                Refuse(run);
                return;
            }
        }

        _wasRefused = false;
        _counters.Add(figures => figures with { AnnouncedBlocks = figures.AnnouncedBlocks + run.Count });
    }

    /// <summary>They wait for room at the node.</summary>
    private void Refuse(List<Note> run)
    {
        lock (_lock)
        {
            foreach (var note in run.Where(note => note.Place.List is null))
            {
                note.IsTold = false;
                _refused.AddLast(note.Place);
            }
        }
    }

    /// <summary>Consecutive blocks of a chain together.</summary>
    private static IEnumerable<List<Note>> Runs(IEnumerable<Note> notes)
    {
        var run = new List<Note>();
        foreach (var note in notes)
        {
            if (run.Count > 0 && note.Parent != run[^1].Hash)
            {
                yield return run;
                run = [];
            }

            run.Add(note);
        }

        if (run.Count > 0)
        {
            yield return run;
        }
    }

    private static byte[] HashesOf(List<Note> notes)
    {
        var hashes = new byte[notes.Count * Limits.ChainHashBytes];
        for (var index = 0; index < notes.Count; index++)
        {
            notes[index].Hash.CopyTo(hashes.AsSpan(index * Limits.ChainHashBytes));
        }

        return hashes;
    }

    private void Queue_NeedsLock(Note note)
    {
        note.Place.List?.Remove(note.Place);
        _pending.AddLast(note.Place);
    }

    private void Drop_NeedsLock(Note note)
    {
        note.Place.List?.Remove(note.Place);
        _notes.Remove(note.Hash);
    }

    private void Wake()
    {
        lock (_lock)
        {
            if (_changed.CurrentCount == 0)
            {
                _changed.Release();
            }
        }
    }

    /// <summary>What is to be told of a block, or was. Under the lock.</summary>
    private sealed class Note
    {
        public Note(in BlockHash hash, in BlockHash parent)
        {
            (Hash, Parent) = (hash, parent);
            Place = new LinkedListNode<Note>(this);
        }

        public BlockHash Hash { get; }

        public BlockHash Parent { get; }

        /// <summary>Among those that are pending or refused, or in no list: the node knows.</summary>
        public LinkedListNode<Note> Place { get; }

        /// <summary>Whether the node may believe that the block is here.</summary>
        public bool IsTold { get; set; }
    }

    [LoggerMessage(6011, LogLevel.Error, "Announcing the blocks of the pages failed; they are not handed over any more.")]
    private partial void LogFailed(Exception exception);

    [LoggerMessage(6012, LogLevel.Warning, "The node does not take {Blocks} blocks as announced: {Reason}")]
    private partial void LogRefused(int blocks, string reason);
}
