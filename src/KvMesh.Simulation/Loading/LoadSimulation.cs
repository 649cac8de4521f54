using System.Collections.Immutable;
using KvMesh.Cluster.Loading;

namespace KvMesh.Simulation.Loading;

/// <summary>
/// Requests for prefixes over links of given bandwidth, on a simulated clock. Worker and links serve the oldest request first, a block at a time; a block that is
/// overtaken while it is computed is dropped at once. So what one request does not ask for makes no other slower.
/// </summary>
public sealed class LoadSimulation
{
    private readonly LoadScenario _scenario;
    private readonly LoadPolicy _policy;
    private readonly List<Reader> _readers = [];
    private readonly PriorityQueue<Action, (double At, long Sequence)> _events = new();
    private readonly bool[] _isLinkBusy;
    private readonly TimeSpan[] _times;
    private (Reader Reader, int Block, long Turn)? _computing;
    private double _now;
    private long _sequence;

    private LoadSimulation(LoadScenario scenario, LoadPolicy policy)
    {
        _scenario = scenario;
        _policy = policy;
        _isLinkBusy = new bool[scenario.Links.Length];
        _times = new TimeSpan[scenario.Requests.Length];
    }

    /// <summary>For each request the time from its arrival until its whole prefix is there.</summary>
    public static ImmutableArray<TimeSpan> Run(LoadScenario scenario, LoadPolicy policy)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        foreach (var link in scenario.Links)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(link.BusyShare, $"BusyShare of {link.Name}");
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(link.BusyShare, 1, $"BusyShare of {link.Name}");
        }

        return new LoadSimulation(scenario, policy).Run();
    }

    private ImmutableArray<TimeSpan> Run()
    {
        for (var index = 0; index < _scenario.Requests.Length; index++)
        {
            var number = index;
            At(_scenario.Requests[index].At.TotalSeconds, () => Arrive(number));
        }

        while (_events.TryDequeue(out var happening, out var when))
        {
            _now = when.At;
            happening();
            Proceed();
        }

        return [.. _times];
    }

    private void At(double when, Action happening) => _events.Enqueue(happening, (when, _sequence++));

    private void Arrive(int number)
    {
        var request = _scenario.Requests[number];
        var input = new ReadInput
        {
            Blocks = request.Blocks,
            Prefill = _scenario.Prefill,
            WorkerFreeIn = TimeSpan.FromSeconds(_readers.Sum(reader => reader.ComputeSecondsLeft())),
            Sources = [.. _scenario.Links.Select((link, source) => new LoadSource(link.Name, SourceKind.Peer, link.OwnBytesPerSecond, link.Latency)
            {
                QueuedBytes = _readers.Sum(reader => reader.BytesLeft(source)),
            })],
        };
        _readers.Add(new Reader(number, input, _policy switch
        {
            LoadPolicy.AlwaysFetch => ReadPlanner.FetchAll(input),
            LoadPolicy.AlwaysCompute => ReadPlanner.ComputeAll(input),
            LoadPolicy.Planned => ReadPlanner.Plan(input),
            _ => null,
        }));
    }

    /// <summary>Gives the worker and each link that is free its next block, the oldest request's first.</summary>
    private void Proceed()
    {
        for (var link = 0; link < _isLinkBusy.Length; link++)
        {
            for (var index = 0; index < _readers.Count && !_isLinkBusy[link]; index++)
            {
                if (_readers[index].Read.TryTakeBack(link, out var block))
                {
                    Fetch(_readers[index], link, block);
                }
            }
        }

        for (var index = 0; index < _readers.Count && _computing is null; index++)
        {
            if (_readers[index].Read.Front(out var block) == FrontStep.Compute)
            {
                Compute(_readers[index], block);
            }
        }
    }

    private void Fetch(Reader reader, int link, int block)
    {
        var wire = _scenario.Links[link];
        _isLinkBusy[link] = true;
        var sent = _now + (reader.Blocks[block].Bytes / wire.OwnBytesPerSecond);
        At(sent, () => _isLinkBusy[link] = false);
        At(sent + wire.Latency.TotalSeconds, () => Come(reader, block));
    }

    private void Compute(Reader reader, int block)
    {
        var turn = _sequence;
        _computing = (reader, block, turn);
        At(_now + reader.ComputeSeconds(block), () =>
        {
            if (_computing?.Turn == turn)
            {
                _computing = null;
                Come(reader, block);
            }
        });
    }

    private void Come(Reader reader, int block)
    {
        if (_computing is { } computing && computing.Reader == reader && computing.Block == block)
        {
            _computing = null;
        }

        if (reader.Read.Complete(block) && reader.Read.IsDone)
        {
            _times[reader.Number] = TimeSpan.FromSeconds(_now) - _scenario.Requests[reader.Number].At;
            _readers.Remove(reader);
        }
    }

    private sealed class Reader(int number, ReadInput input, ReadPlan? plan)
    {
        private readonly ReadPlan _forecast = plan ?? ReadPlanner.Plan(input);
        private readonly long[] _positions = Positions(input.Blocks);

        public int Number => number;

        public ImmutableArray<HeldBlock> Blocks => input.Blocks;

        public MeetInTheMiddle Read { get; } = plan is null ? MeetInTheMiddle.Unplanned(input) : MeetInTheMiddle.Planned(plan, input.Sources.Length);

        public double ComputeSeconds(int block) => input.Prefill.Seconds(_positions[block], _positions[block] + input.Blocks[block].Tokens);

        public double ComputeSecondsLeft() => Left(block => block.IsComputed).Sum(ComputeSeconds);

        public long BytesLeft(int source) => Left(block => block.Source == source).Sum(block => input.Blocks[block].Bytes);

        private static long[] Positions(ImmutableArray<HeldBlock> blocks)
        {
            var positions = new long[blocks.Length];
            for (var block = 1; block < positions.Length; block++)
            {
                positions[block] = positions[block - 1] + blocks[block - 1].Tokens;
            }

            return positions;
        }

        private IEnumerable<int> Left(Func<PlannedBlock, bool> isMeant) =>
            Enumerable.Range(0, _forecast.Blocks.Length).Where(block => isMeant(_forecast.Blocks[block]) && !Read.IsPresent(block));
    }
}
