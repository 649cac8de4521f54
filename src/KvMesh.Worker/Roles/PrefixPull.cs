using System.Buffers;
using System.Threading.Channels;
using KvMesh.Client;
using KvMesh.Cluster.Loading;
using KvMesh.Worker.Serving;

namespace KvMesh.Worker.Roles;

/// <summary>
/// Brings the blocks of a prefix that the mesh has, as <see cref="ReadPlanner"/> decides: those that are sooner computed than fetched are left to passes, which
/// go on from the front while the others come. What turns out not to be there is left to passes too. When a source delivers quite otherwise than was planned
/// with, what is still missing is planned anew.
/// </summary>
internal sealed class PrefixPull
{
    /// <summary>Bytes that are read at once at most.</summary>
    private const int RunBytes = 4 << 20;

    private const int MaxRunBlocks = 64;

    /// <summary>A read that takes longer keeps what is behind it from being planned anew.</summary>
    private static readonly TimeSpan RunTime = TimeSpan.FromMilliseconds(50);

    /// <summary>A rate that is so many times what was planned with, or a so manieth of it, asks for another plan.</summary>
    private const double Slip = 2;

    /// <summary>What computing must save: less is within what rates are known to, and costs those who wait for the worker.</summary>
    private static readonly TimeSpan LeastSaving = TimeSpan.FromMilliseconds(10);

    private readonly Lock _lock = new();
    private readonly FetchContext _context;
    private readonly SequencePages _pages;
    private readonly PrefillOutlook _outlook;
    private readonly int _first;
    private readonly int _end;
    private readonly int _elsewhereFrom;
    private readonly Action _changed;
    private readonly Channel<int> _computed = Channel.CreateBounded<int>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly bool[] _isMissed;
    private MeetInTheMiddle _meet;
    private LoadSource[] _sources;
    private (int First, int Count) _left;

    /// <param name="context">What a fetch needs of its worker.</param>
    /// <param name="pages">Where blocks go.</param>
    /// <param name="outlook">What the worker could compute.</param>
    /// <param name="end">Behind the last block that the mesh has; those before the first that is not here are here.</param>
    /// <param name="elsewhere">The last so many of them are not at the worker's node.</param>
    /// <param name="changed">Called when blocks came or are left to passes.</param>
    public PrefixPull(FetchContext context, SequencePages pages, PrefillOutlook outlook, int end, int elsewhere, Action changed)
    {
        (_context, _pages, _outlook, _first, _end, _elsewhereFrom, _changed) = (context, pages, outlook, pages.Shared, end, end - elsewhere, changed);
        _isMissed = new bool[end];
        (_meet, _sources) = Plan(static (block, first) => block < first);
    }

    /// <summary>Blocks that are there whole from the first on.</summary>
    public int Ready
    {
        get
        {
            lock (_lock)
            {
                _ = _meet.Front(out var block);
                return _meet.IsDone ? _end : block;
            }
        }
    }

    /// <summary>Consecutive blocks that passes are to compute; everything before them is there. They stay theirs.</summary>
    public (int First, int Count) LeftToCompute
    {
        get
        {
            lock (_lock)
            {
                if (_left.Count == 0 && _meet.Front(_end, out var block, out var count) == FrontStep.Compute)
                {
                    _left = (block, count);
                }

                return _left;
            }
        }
    }

    public void NoteComputed(int first, int count)
    {
        lock (_lock)
        {
            for (var block = first; block < first + count; block++)
            {
                _meet.Complete(block);
            }

            _left = (first + count, _left.First + _left.Count - first - count);
        }

        _ = _computed.Writer.TryWrite(first + count);
    }

    /// <summary>Returns when all blocks are there.</summary>
    public async Task RunAsync(KvMeshClient client, TimeSpan latency, CancellationToken cancellationToken)
    {
        while (!_meet.IsDone)
        {
            var runs = TakeRuns();
            if (runs.Count == 0)
            {
                _changed();
                _ = await _computed.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                continue;
            }

            await Task.WhenAll(runs.Select(run => PullAsync(client, run.Source, run.First, run.Count, latency, cancellationToken))).ConfigureAwait(false);
            PlanAnewAfterSlip(runs.Select(run => run.Source));
            _changed();
        }
    }

    private int BlockBytes => _context.Parts.PartBytes * _context.Parts.Count;

    /// <summary>The next consecutive blocks of each source.</summary>
    private List<(int Source, int First, int Count)> TakeRuns()
    {
        var runs = new List<(int Source, int First, int Count)>();
        lock (_lock)
        {
            foreach (var source in (ReadOnlySpan<int>)[LoadMeters.Node, LoadMeters.Elsewhere])
            {
                var most = Math.Min(RunBytes, _sources[source].BytesPerSecond * RunTime.TotalSeconds) / BlockBytes;
                if (_meet.TryTakeBack(source, (int)Math.Clamp(most, 1, MaxRunBlocks), out var first, out var count))
                {
                    runs.Add((source, first, count));
                }
            }
        }

        return runs;
    }

    private async Task PullAsync(KvMeshClient client, int source, int first, int count, TimeSpan latency, CancellationToken cancellationToken)
    {
        var parts = _context.Parts;
        var bytes = ArrayPool<byte>.Shared.Rent(count * parts.PartBytes);
        var results = new GetResult[count];
        var isWhole = new bool[count];
        Array.Fill(isWhole, true);
        var meter = _context.Meters.Of(source);
        meter.Ask((long)count * BlockBytes);
        var begun = _context.Time.GetTimestamp();
        var received = 0L;
        try
        {
            for (var part = 0; part < parts.Count; part++)
            {
                await client.Lossless.GetManyAsync(parts.Scope(part), _pages.Chain.HashBytes(first, count), bytes, parts.PartBytes, results, cancellationToken).ConfigureAwait(false);
                for (var block = 0; block < count; block++)
                {
                    isWhole[block] &= results[block].IsHit && results[block].Bytes == parts.PartBytes;
                    received += results[block].IsHit ? results[block].Bytes : 0;
                    for (var layer = 0; layer < parts.Layers && isWhole[block]; layer++)
                    {
                        parts.CopyIn(bytes.AsSpan((block * parts.PartBytes) + (layer * parts.SectionBytes), parts.SectionBytes), part, layer, _pages.Block(first + block));
                    }
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
            meter.Answered((long)count * BlockBytes, received, latency, _context.Time.GetElapsedTime(begun));
        }

        lock (_lock)
        {
            for (var block = 0; block < count; block++)
            {
                if (isWhole[block])
                {
                    _meet.Complete(first + block);
                }
                else
                {
                    _isMissed[first + block] = true;
                    _meet.Missed(first + block);
                }
            }
        }

        var hits = isWhole.Count(whole => whole);
        _context.Counters.Add(figures => figures with
        {
            PulledBlocks = figures.PulledBlocks + hits,
            PulledBytes = figures.PulledBytes + ((long)hits * BlockBytes),
        });
    }

    private void PlanAnewAfterSlip(IEnumerable<int> asked)
    {
        var now = _context.Meters.Current;
        if (!_meet.IsDone && asked.Any(source => now[source].BytesPerSecond is var rate && (rate > _sources[source].BytesPerSecond * Slip || rate < _sources[source].BytesPerSecond / Slip)))
        {
            lock (_lock)
            {
                var before = _meet;
                var left = _left;
                (_meet, _sources) = Plan((block, _) => before.IsPresent(block));
                for (var block = 0; block < _end; block++)
                {
                    // What a pass has in hand stays its, and what was not there is not asked for again.
                    if (!before.IsPresent(block) && (_isMissed[block] || (block >= left.First && block < left.First + left.Count)))
                    {
                        _meet.Missed(block);
                    }
                }
            }
        }
    }

    private (MeetInTheMiddle Meet, LoadSource[] Sources) Plan(Func<int, int, bool> isPresent)
    {
        var sources = _context.Meters.Current;
        var input = new ReadInput
        {
            Blocks = [.. Enumerable.Range(0, _end).Select(block => isPresent(block, _first)
                ? new HeldBlock(_pages.Format.BlockTokens, 0, [LoadMeters.Here])
                : new HeldBlock(_pages.Format.BlockTokens, BlockBytes, [block < _elsewhereFrom ? LoadMeters.Node : LoadMeters.Elsewhere]))],
            Sources = [.. sources],
            Prefill = _outlook.Rate,
            WorkerFreeIn = _outlook.FreeIn,
            Deadline = _context.ReadDeadline,
            LeastSaving = LeastSaving,
        };
        var meet = MeetInTheMiddle.Planned(_context.MayCompute ? ReadPlanner.Plan(input) : ReadPlanner.FetchAll(input), sources.Length);
        for (var block = 0; block < _end; block++)
        {
            if (isPresent(block, _first))
            {
                meet.Complete(block);
            }
        }

        return (meet, sources);
    }
}
