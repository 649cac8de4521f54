using System.Buffers;
using System.Threading.Channels;
using KvMesh.Client;
using KvMesh.Cluster.Loading;
using KvMesh.Worker.Serving;

namespace KvMesh.Worker.Roles;

/// <summary>
/// Brings the blocks of a prefix that the mesh has, as <see cref="ReadPlanner"/> decides: those that are sooner computed than fetched are left to passes, which
/// go on from the front while the others come. What turns out not to be there is left to passes too. It is planned anew when a source delivers quite otherwise
/// than was planned with, when what was asked for is overdue, and when passes or loaders have nothing left to do while the others have: passes may then compute what is still on its way.
/// </summary>
internal sealed class PrefixPull
{
    /// <summary>Bytes that are read at once at most.</summary>
    private const int RunBytes = 4 << 20;

    /// <summary>Bytes that are read at once at most from a source of which nothing is known.</summary>
    private const int FirstRunBytes = 256 << 10;

    private const int MaxRunBlocks = 64;

    /// <summary>A read that takes longer keeps what is behind it from being planned anew.</summary>
    private static readonly TimeSpan RunTime = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);

    /// <summary>A rate that is so many times what was planned with, or a so manieth of it, asks for another plan.</summary>
    private const double Slip = 1.5;

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
    private readonly long _begun;
    private readonly Channel<bool> _events = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly bool[] _isMissed;
    private readonly List<Run> _underway = [];
    private MeetInTheMiddle _meet;
    private LoadSource[] _sources;
    private (int First, int Count) _left;
    private double _passEnds;
    private bool _isIdle;
    private bool _isNews;
    private bool _isOver;

    /// <param name="context">What a fetch needs of its worker.</param>
    /// <param name="pages">Where blocks go.</param>
    /// <param name="outlook">What the worker could compute.</param>
    /// <param name="end">Behind the last block that the mesh has; those before the first that is not here are here.</param>
    /// <param name="elsewhere">The last so many of them are not at the worker's node.</param>
    /// <param name="changed">Called when blocks came or are left to passes.</param>
    public PrefixPull(FetchContext context, SequencePages pages, PrefillOutlook outlook, int end, int elsewhere, Action changed)
    {
        (_context, _pages, _outlook, _first, _end, _elsewhereFrom, _changed) = (context, pages, outlook, pages.Shared, end, end - elsewhere, changed);
        _begun = context.Time.GetTimestamp();
        _isMissed = new bool[end];
        (_meet, _sources) = Plan(block => block < _first, LeastSaving);
    }

    /// <summary>Blocks that are there whole from the first on.</summary>
    public int Ready
    {
        get
        {
            lock (_lock)
            {
                return Front();
            }
        }
    }

    /// <summary>Blocks up to the first that turned out not to be there.</summary>
    public int Found
    {
        get
        {
            lock (_lock)
            {
                return Array.IndexOf(_isMissed, true) is var missed and >= 0 ? missed : _end;
            }
        }
    }

    /// <summary>
    /// Consecutive blocks that a pass is to compute now; everything before them is there. They are the pass's until this is asked again, or it has told what
    /// it computed. Asked by the one thread that computes.
    /// </summary>
    public (int First, int Count) LeftToCompute
    {
        get
        {
            lock (_lock)
            {
                var (block, count) = (0, 0);
                var step = _isOver ? FrontStep.Wait : _meet.Front(_end, out block, out count);
                _left = step == FrontStep.Compute ? (block, count) : default;
                _passEnds = step == FrontStep.Compute ? Now + ComputeSeconds(block, count) : 0;
                if (step == FrontStep.Wait && !_isIdle)
                {
                    Notify();
                }

                _isIdle = step == FrontStep.Wait;
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

            (_left, _passEnds, _isNews) = (default, 0, true);
        }

        Notify();
    }

    /// <summary>Returns when all blocks are there, or those that are not are best computed with what is behind them.</summary>
    public async Task RunAsync(KvMeshClient client, TimeSpan latency, CancellationToken cancellationToken)
    {
        try
        {
            for (var isNew = true; ;)
            {
                Begin(client, latency, cancellationToken);
                if (IsSettled())
                {
                    return;
                }

                if (isNew)
                {
                    _changed();
                }

                await WaitAsync(cancellationToken).ConfigureAwait(false);
                var done = TakeDone();
                foreach (var run in done)
                {
                    await run.Task!.ConfigureAwait(false);
                }

                isNew = PlanAnew() || done.Count > 0;
            }
        }
        finally
        {
            // What is still on its way tells how fast its source is, and is dropped.
            lock (_lock)
            {
                _isOver = true;
            }
        }
    }

    private int BlockBytes => _context.Parts.PartBytes * _context.Parts.Count;

    /// <summary>Seconds since this began.</summary>
    private double Now => _context.Time.GetElapsedTime(_begun).TotalSeconds;

    private void Notify() => _ = _events.Writer.TryWrite(true);

    private int Front() => _meet.Front(out var block) == FrontStep.Done ? _end : block;

    private double ComputeSeconds(int first, int count) =>
        _outlook.Rate.SecondsPerPass + _outlook.Rate.Seconds((long)first * _pages.Format.BlockTokens, (long)(first + count) * _pages.Format.BlockTokens);

    /// <summary>Asks each source that has nothing to do for its next consecutive blocks.</summary>
    private void Begin(KvMeshClient client, TimeSpan latency, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            foreach (var source in (ReadOnlySpan<int>)[LoadMeters.Node, LoadMeters.Elsewhere])
            {
                if (_underway.Exists(run => run.Source == source))
                {
                    continue;
                }

                var meter = _context.Meters.Of(source);
                var now = meter.Current;
                var most = Math.Min(meter.IsMeasured ? RunBytes : FirstRunBytes, now.BytesPerSecond * RunTime.TotalSeconds) / BlockBytes;
                if (_meet.TryTakeBack(source, (int)Math.Clamp(most, 1, MaxRunBlocks), out var first, out var count))
                {
                    var due = now.Latency.TotalSeconds + ((now.QueuedBytes + ((double)count * BlockBytes)) / now.BytesPerSecond);
                    var run = new Run(source, first, count, Now, due) { Patience = ComputeSeconds(first, 1) };
                    meter.Ask((long)count * BlockBytes);
                    _underway.Add(run);
                    run.Task = Task.Run(() => PullAsync(client, run, latency, cancellationToken), CancellationToken.None);
                }
            }
        }
    }

    /// <summary>Whether nothing that is on its way is waited for, and what is missing is all behind what is there.</summary>
    private bool IsSettled()
    {
        lock (_lock)
        {
            for (var block = Front(); block < _end; block++)
            {
                if (_meet.IsPresent(block) || !_meet.IsToCompute(block) || IsInPass(block))
                {
                    return false;
                }
            }

            // From here on nothing is left to passes that this would have to be told of.
            _isOver = true;
            return true;
        }
    }

    /// <summary>Waits for a run, for a pass, or until a run is overdue by what computing its first block takes; then twice as long.</summary>
    private async Task WaitAsync(CancellationToken cancellationToken)
    {
        var until = double.PositiveInfinity;
        lock (_lock)
        {
            foreach (var run in _underway.Where(run => _context.MayCompute && IsWanted(run)))
            {
                until = Math.Min(until, Math.Max(0, run.Begun + run.Seconds + run.Patience - Now));
            }
        }

        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var overdue = Task.Delay(until < LongestWait.TotalSeconds ? TimeSpan.FromSeconds(until) : LongestWait, _context.Time, ending.Token);
        await Task.WhenAny(_events.Reader.ReadAsync(ending.Token).AsTask(), overdue).ConfigureAwait(false);
        await ending.CancelAsync().ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
    }

    private List<Run> TakeDone()
    {
        lock (_lock)
        {
            var done = _underway.FindAll(run => run.IsEnded);
            _underway.RemoveAll(run => run.IsEnded);
            return done;
        }
    }

    private bool IsInPass(int block) => block >= _left.First && block < _left.First + _left.Count;

    /// <summary>Whether a pass must wait for some of its blocks.</summary>
    private bool IsWanted(Run run)
    {
        for (var block = run.First; block < run.First + run.Count; block++)
        {
            if (!_meet.IsPresent(block) && !_meet.IsToCompute(block))
            {
                return true;
            }
        }

        return false;
    }

    private async Task PullAsync(KvMeshClient client, Run run, TimeSpan latency, CancellationToken cancellationToken)
    {
        var parts = _context.Parts;
        var bytes = ArrayPool<byte>.Shared.Rent(run.Count * parts.PartBytes);
        var results = new GetResult[run.Count];
        var isWhole = new bool[run.Count];
        Array.Fill(isWhole, true);
        var begun = _context.Time.GetTimestamp();
        var received = 0L;
        var isComplete = false;
        try
        {
            for (var part = 0; part < parts.Count; part++)
            {
                await client.Lossless.GetManyAsync(
                    parts.Scope(part), _pages.Chain.HashBytes(run.First, run.Count), bytes, parts.PartBytes, results, cancellationToken).ConfigureAwait(false);
                for (var block = 0; block < run.Count; block++)
                {
                    isWhole[block] &= results[block].IsHit && results[block].Bytes == parts.PartBytes;
                    received += results[block].IsHit ? results[block].Bytes : 0;
                    if (isWhole[block])
                    {
                        Take(run, block, part, bytes.AsSpan(block * parts.PartBytes, parts.PartBytes));
                    }
                }
            }

            isComplete = true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
            _context.Meters.Of(run.Source).Answered((long)run.Count * BlockBytes, received, latency, _context.Time.GetElapsedTime(begun));
            Conclude(run, isComplete ? isWhole : []);
        }
    }

    /// <summary>Takes a part of a block, unless a pass has the block in hand or has computed it: the first is as good as the other.</summary>
    private void Take(Run run, int block, int part, ReadOnlySpan<byte> bytes)
    {
        var (parts, index) = (_context.Parts, run.First + block);
        lock (_lock)
        {
            run.IsLate[block] |= _isOver || _meet.IsPresent(index) || IsInPass(index);
            for (var layer = 0; layer < parts.Layers && !run.IsLate[block]; layer++)
            {
                parts.CopyIn(bytes.Slice(layer * parts.SectionBytes, parts.SectionBytes), part, layer, _pages.Block(index));
            }
        }
    }

    /// <param name="run">What has ended.</param>
    /// <param name="isWhole">Which of its blocks came; empty: it broke off.</param>
    private void Conclude(Run run, bool[] isWhole)
    {
        var came = 0;
        lock (_lock)
        {
            for (var block = 0; block < isWhole.Length && !_isOver; block++)
            {
                if (!isWhole[block])
                {
                    _isMissed[run.First + block] = true;
                    _meet.Missed(run.First + block);
                }
                else if (!run.IsLate[block] && !IsInPass(run.First + block) && _meet.Complete(run.First + block))
                {
                    came++;
                }
            }

            (run.IsEnded, _isNews) = (true, true);
        }

        _context.Counters.Add(figures => figures with
        {
            PulledBlocks = figures.PulledBlocks + came,
            PulledBytes = figures.PulledBytes + (isWhole.Count(whole => whole) * (long)BlockBytes),
        });
        Notify();
    }

    /// <summary>Plans what is missing anew where that may help. True: it did.</summary>
    private bool PlanAnew()
    {
        lock (_lock)
        {
            if (!_context.MayCompute || _meet.IsDone)
            {
                return false;
            }

            var overdue = _underway.FindAll(run => IsWanted(run) && Now >= run.Begun + run.Seconds + run.Patience);
            overdue.ForEach(run => run.Patience *= 2);
            var now = _context.Meters.Current;
            var isSlipped = _isNews && now.Zip(_sources).Any(pair => pair.First.BytesPerSecond / pair.Second.BytesPerSecond is > Slip or < 1 / Slip);
            var isUneven = _isNews && (_isIdle || !_underway.Exists(run => IsWanted(run)));
            if (overdue.Count == 0 && !isSlipped && !isUneven)
            {
                return false;
            }

            var before = _meet;
            (_meet, _sources) = Plan(before.IsPresent, overdue.Count > 0 ? TimeSpan.Zero : LeastSaving);
            for (var block = 0; block < _end; block++)
            {
                // What a pass has in hand stays its, and what was not there is not asked for again.
                if (!before.IsPresent(block) && (_isMissed[block] || IsInPass(block)))
                {
                    _meet.Missed(block);
                }
            }

            _isNews = false;
            return true;
        }
    }

    private (MeetInTheMiddle Meet, LoadSource[] Sources) Plan(Func<int, bool> isPresent, TimeSpan leastSaving)
    {
        var measured = _context.Meters.Current;
        var sources = measured.ToArray();
        var bytes = new long[_end];
        for (var block = 0; block < _end; block++)
        {
            bytes[block] = isPresent(block) || IsInPass(block) ? 0 : BlockBytes;
        }

        foreach (var run in _underway)
        {
            Expect(run, sources, bytes);
        }

        var input = new ReadInput
        {
            Blocks = [.. bytes.Select((size, block) => new HeldBlock(
                _pages.Format.BlockTokens, size, [size == 0 ? LoadMeters.Here : block < _elsewhereFrom ? LoadMeters.Node : LoadMeters.Elsewhere]))],
            Sources = [.. sources],
            Prefill = _outlook.Rate,
            WorkerFreeIn = TimeSpan.FromSeconds(Math.Max(0, (_left.Count > 0 ? _passEnds : _outlook.FreeIn.TotalSeconds) - Now)),
            GoesOn = _outlook.GoesOn,
            Deadline = _context.ReadDeadline,
            LeastSaving = leastSaving,
        };
        var plan = _context.MayCompute ? ReadPlanner.Plan(input) : ReadPlanner.FetchAll(input);
        var meet = MeetInTheMiddle.Planned(plan with { FetchOrder = [.. plan.FetchOrder.Where(block => !_underway.Exists(run => run.Has(block)))] }, sources.Length);
        for (var block = 0; block < _end; block++)
        {
            if (isPresent(block))
            {
                meet.Complete(block);
            }
        }

        return (meet, measured);
    }

    /// <summary>
    /// What is on its way comes when it is due; what is overdue will be for as long again. Of a run that is in part not needed any more the rest comes as late as the whole.
    /// </summary>
    private void Expect(Run run, LoadSource[] sources, long[] bytes)
    {
        var source = sources[run.Source];
        var asked = (long)run.Count * BlockBytes;
        var left = Math.Abs(run.Begun + run.Seconds - Now);
        var rate = source.BytesPerSecond;
        var queued = Math.Max(0, source.QueuedBytes - asked);
        var needed = Enumerable.Range(run.First, run.Count).Where(block => bytes[block] > 0).ToArray();
        foreach (var block in needed)
        {
            bytes[block] = 1 + (long)(left * rate / needed.Length);
        }

        sources[run.Source] = source with { QueuedBytes = queued + (needed.Length == 0 ? (long)(left * rate) : 0) };
    }

    /// <summary>Consecutive blocks that were asked for.</summary>
    /// <param name="source">Of whom.</param>
    /// <param name="first">The first of them.</param>
    /// <param name="count">How many.</param>
    /// <param name="begun">When, in seconds.</param>
    /// <param name="seconds">How long that should take.</param>
    private sealed class Run(int source, int first, int count, double begun, double seconds)
    {
        public int Source => source;

        public int First => first;

        public int Count => count;

        public double Begun => begun;

        public double Seconds => seconds;

        /// <summary>Seconds that it may take longer before it is planned without it.</summary>
        public double Patience { get; set; }

        public Task? Task { get; set; }

        public bool IsEnded { get; set; }

        /// <summary>Blocks that a pass had first.</summary>
        public bool[] IsLate { get; } = new bool[count];

        public bool Has(int block) => block >= first && block < first + count;
    }
}
