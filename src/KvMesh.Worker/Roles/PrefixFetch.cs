using System.Buffers;
using KvMesh.Client;
using KvMesh.Client.Progressive;
using KvMesh.Worker.Serving;

namespace KvMesh.Worker.Roles;

/// <summary>One prefix on its way into the pages of a sequence.</summary>
internal sealed class PrefixFetch : IPrefixFetch
{
    /// <summary>How often a wait for a layer looks whether it is still wanted.</summary>
    private static readonly TimeSpan LookPause = TimeSpan.FromMilliseconds(20);

    private readonly object _gate = new();
    private readonly FetchContext _context;
    private readonly SequencePages _pages;
    private readonly int _wanted;
    private readonly bool _mayDelegate;
    private readonly PrefillOutlook _outlook;
    private readonly Action _changed;
    private readonly CancellationTokenSource _ending = new();
    private volatile PrefixPull? _pull;
    private int _ready;
    private int _meshBlocks;
    private int _layers;
    private bool _isOver;

    public PrefixFetch(FetchContext context, SequencePages pages, int wantedBlocks, bool mayDelegate, PrefillOutlook outlook, Action changed)
    {
        (_context, _pages, _wanted, _mayDelegate, _outlook, _changed) = (context, pages, wantedBlocks, mayDelegate, outlook, changed);
        _ready = pages.Shared;
        _meshBlocks = wantedBlocks;
        _ = Task.Run(RunAsync);
    }

    public bool IsOver => Read(() => _isOver);

    public int ReadyBlocks => Read(() => _ready);

    public int MeshBlocks => Read(() => _meshBlocks);

    public bool IsStreaming => Read(() => !_isOver && _layers > 0 && !_ending.IsCancellationRequested);

    public (int First, int Count) LeftToCompute => _pull?.LeftToCompute ?? default;

    public void NoteComputed(int first, int count) => _pull?.NoteComputed(first, count);

    public bool WaitForLayer(int layer, Func<bool> isUnwanted)
    {
        lock (_gate)
        {
            while (!_isOver && _layers <= layer && !_ending.IsCancellationRequested)
            {
                if (isUnwanted())
                {
                    return false;
                }

                Monitor.Wait(_gate, LookPause);
            }

            return _isOver ? _ready == _wanted : _layers > layer;
        }
    }

    public void Cancel()
    {
        if (!_ending.IsCancellationRequested)
        {
            _ending.Cancel();
            Change(() => { });
        }
    }

    public void Dispose() => _ending.Dispose();

    private int PartBytes => _context.Parts.PartBytes;

    private async Task RunAsync()
    {
        try
        {
            if (_context.Link.Client is { } client && _wanted > 0)
            {
                var (matched, elsewhere, latency) = await MatchAsync(client).ConfigureAwait(false);
                Change(() => _meshBlocks = matched);
                await PullAsync(client, matched, elsewhere, latency).ConfigureAwait(false);
                if (ReadyBlocks >= MeshBlocks)
                {
                    await DelegateAsync().ConfigureAwait(false);
                }
            }
        }
        catch (Exception error) when (error is OperationCanceledException or ObjectDisposedException)
        {
            // The request or the worker ends: what came so far counts.
        }
        finally
        {
            Change(() => (_isOver, _layers) = (true, 0));
        }
    }

    /// <summary>Blocks of which the mesh has all parts; the last of them that lie beyond the node; how long asking took.</summary>
    private async Task<(int Blocks, int Elsewhere, TimeSpan Latency)> MatchAsync(KvMeshClient client)
    {
        var (blocks, near) = (_wanted, _wanted);
        var begun = _context.Time.GetTimestamp();
        for (var part = 0; part < _context.Parts.Count && blocks > 0; part++)
        {
            var hashes = _pages.Chain.HashBytes(0, blocks);
            var match = await client.Lossless.MatchPrefixAsync(_context.Parts.Scope(part), hashes, _context.SectionTimeout, _ending.Token).ConfigureAwait(false);
            (blocks, near) = (match.Blocks, Math.Min(near, match.Blocks - match.Elsewhere));
        }

        return (blocks, Math.Max(0, blocks - near), _context.Time.GetElapsedTime(begun) / _context.Parts.Count);
    }

    private async Task PullAsync(KvMeshClient client, int matched, int elsewhere, TimeSpan latency)
    {
        if (matched <= ReadyBlocks)
        {
            return;
        }

        var pull = new PrefixPull(_context, _pages, _outlook, matched, elsewhere, _changed);
        _pull = pull;
        try
        {
            await pull.RunAsync(client, latency, _ending.Token).ConfigureAwait(false);
        }
        finally
        {
            _pull = null;
            Change(() => (_ready, _meshBlocks) = (Math.Max(_ready, pull.Ready), pull.Found));
        }
    }

    /// <summary>Has a prefill worker compute what is missing, and follows it.</summary>
    private async Task DelegateAsync()
    {
        var blockTokens = _pages.Format.BlockTokens;
        if (!_mayDelegate || _context.Prefill is not { } prefill || _wanted == ReadyBlocks || (_wanted - ReadyBlocks) * blockTokens < _context.PrefillFrom)
        {
            return;
        }

        var scope = _context.Parts.Scope(0);
        var request = new PrefillRequest(
            _pages.Chain.Tokens(0, (_wanted * blockTokens) + 1).ToArray(), Convert.ToHexStringLower(_context.Parts.LayoutHash), scope.Model, scope.Revision, _context.Parts.Count);
        if (await prefill.AskAsync(request, _pages.Chain.HashBytes(0), _ending.Token).ConfigureAwait(false) is { } job)
        {
            await using (job.ConfigureAwait(false))
            {
                await FollowAsync(job).ConfigureAwait(false);
            }
        }

        var came = ReadyBlocks == _wanted;
        _context.Counters.Add(figures => came
            ? figures with { DelegatedPrompts = figures.DelegatedPrompts + 1 }
            : figures with { FailedDelegations = figures.FailedDelegations + 1 });
    }

    private async Task FollowAsync(PrefillJob job)
    {
        var grant = job.Grant;
        if (grant.Blocks != _wanted || grant.GroupBlocks < 1 || grant.LastHash != _pages.Chain.Hash(_wanted - 1).ToString())
        {
            job.Fail($"its grant is of {grant.Blocks} blocks in groups of {grant.GroupBlocks} up to {grant.LastHash}, not what was asked for");
            return;
        }

        if (_context.Follow(grant.Node) is not { } link
            || await link.WaitAsync(_context.SectionTimeout, _ending.Token).ConfigureAwait(false) is not { } client)
        {
            job.Fail($"the node that it writes to, '{grant.Node}', is not reached");
            return;
        }

        using var ending = CancellationTokenSource.CreateLinkedTokenSource(_ending.Token);

        // A worker that is lost, or has dropped blocks, writes nothing more: nobody waits for what does not come.
        var watching = job.Published.ContinueWith(
            published => published.Result ? Task.CompletedTask : ending.CancelAsync(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default).Unwrap();
        try
        {
            while (ReadyBlocks < _wanted)
            {
                var count = Math.Min(grant.GroupBlocks, _wanted - ReadyBlocks);
                if (await FollowGroupAsync(client, ReadyBlocks, count, ending.Token).ConfigureAwait(false) is { } failure)
                {
                    job.Fail($"its blocks did not come: {failure}");
                    return;
                }
            }
        }
        catch (OperationCanceledException) when (!_ending.IsCancellationRequested)
        {
            job.Fail("it was lost, or could not publish");
        }
        finally
        {
            // The watcher uses the source: it ends before it.
            await job.DisposeAsync().ConfigureAwait(false);
            await watching.ConfigureAwait(false);
        }
    }

    /// <summary>Follows blocks that one pass computes. Not null: what came instead of a section.</summary>
    private async Task<SectionStatus?> FollowGroupAsync(KvMeshClient client, int first, int count, CancellationToken cancellationToken)
    {
        var parts = _context.Parts;
        var memory = ArrayPool<byte>.Shared.Rent(count * parts.Count * PartBytes);
        try
        {
            var targets = Enumerable.Range(0, count * parts.Count).Select(index => new SectionTarget(
                parts.Scope(index % parts.Count), _pages.Chain.HashBytes(first + (index / parts.Count)), memory.AsMemory(index * PartBytes, PartBytes))).ToArray();
            var arrived = new int[parts.Layers];
            await foreach (var step in client.FollowManyAsync(targets, parts.SectionBytes, _context.SectionTimeout, cancellationToken).ConfigureAwait(false))
            {
                if (step.Result.Status != SectionStatus.Ready || step.Result.BlockBytes != PartBytes)
                {
                    return step.Result.Status == SectionStatus.Ready ? SectionStatus.Diverged : step.Result.Status;
                }

                CopyIn(step.Result.Bytes.Span, first + (step.Target / parts.Count), step.Target % parts.Count, step.Result.Section);
                arrived[step.Result.Section]++;
                if (first + count == _wanted && arrived[step.Result.Section] == targets.Length)
                {
                    Change(() => _layers = Array.FindIndex(arrived, sections => sections < targets.Length) is var missing and >= 0 ? missing : parts.Layers);
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(memory);
        }

        Change(() => _ready = first + count);
        _context.Counters.Add(figures => figures with
        {
            FollowedBlocks = figures.FollowedBlocks + count,
            PulledBytes = figures.PulledBytes + ((long)count * PartBytes * parts.Count),
        });
        return null;
    }

    private void CopyIn(ReadOnlySpan<byte> section, int block, int part, int layer) => _context.Parts.CopyIn(section, part, layer, _pages.Block(block));

    private T Read<T>(Func<T> value)
    {
        lock (_gate)
        {
            return value();
        }
    }

    private void Change(Action change)
    {
        lock (_gate)
        {
            change();
            Monitor.PulseAll(_gate);
        }

        _changed();
    }
}
