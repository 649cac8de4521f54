using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Mesh;

/// <summary>
/// Runs a trace through a fleet on the trace's own clock, with the planner that real nodes run. A request enters at one node, takes what
/// that holds of its prompt, pulls what follows from others where that beats computing, and computes and keeps the rest. What was pulled
/// is the next to leave unless it is used again, so that the fleet does not fill with copies.
/// </summary>
public sealed class MeshSimulation
{
    /// <summary>Seconds of work that a request brings beside its blocks, for routing.</summary>
    private const double RequestSeconds = 0.1;

    private readonly MeshScenario _scenario;
    private readonly TraceClock _clock = new();
    private readonly SimulatedNode[] _nodes;
    private readonly BlockDirectory _directory = new();
    private readonly PlacementDriver? _placement;
    private readonly Dictionary<int, int> _lengths = [];
    private int _nextNode;
    private double _lastSeconds;
    private long _blocks;
    private long _localHits;
    private long _remoteHits;
    private double _waitSeconds;

    private MeshSimulation(MeshScenario scenario)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(scenario.Nodes);
        _scenario = scenario;
        _nodes = [.. Enumerable.Range(0, scenario.Nodes).Select(index => new SimulatedNode(index, scenario, _clock))];
        _placement = scenario.HasScheduler ? new PlacementDriver(scenario, _nodes, _directory, _clock) : null;
    }

    public static MeshReport Run(MeshScenario scenario, IReadOnlyList<PromptRequest> requests)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        ArgumentNullException.ThrowIfNull(requests);
        var simulation = new MeshSimulation(scenario);
        foreach (var request in requests)
        {
            simulation.Serve(request);
        }

        return simulation.Report(requests.Count);
    }

    private void Serve(PromptRequest request)
    {
        Advance(request.TimestampMs);
        var chain = request.BlockIds.Span[..request.FullBlocks];
        var node = Route(chain);
        var local = 0;
        while (local < chain.Length && node.Cache.Contains(chain[local]))
        {
            local++;
        }

        var held = _scenario.IsShared ? Pull(node, chain, local) : local;
        Keep(node, chain, local, held);
        if (_placement is not null)
        {
            node.Demand.Note("t", new RequestedPrompt(chain, _scenario.BlockBytes), held);
        }

        _blocks += request.BlockIds.Length;
        _localHits += local;
        _remoteHits += held - local;
        var computeSeconds = (double)(request.BlockIds.Length - held) * _scenario.BlockBytes / _scenario.RecomputeBytesPerSecond;
        _waitSeconds += computeSeconds + ((double)(held - local) * _scenario.BlockBytes / _scenario.LinkBytesPerSecond);
        node.QueueSeconds += RequestSeconds + computeSeconds;
    }

    private void Advance(long timestampMs)
    {
        foreach (var fault in _scenario.Faults)
        {
            Apply(fault, timestampMs);
        }

        _clock.MoveTo(TimeSpan.FromMilliseconds(timestampMs));
        var seconds = timestampMs / 1000.0;
        foreach (var node in _nodes)
        {
            node.QueueSeconds = Math.Max(0, node.QueueSeconds - (seconds - _lastSeconds));
        }

        _lastSeconds = seconds;
        _placement?.PlanWhenDue();
    }

    private void Apply(NodeFault fault, long timestampMs)
    {
        var node = _nodes[fault.Node];
        var isDown = timestampMs >= fault.AtMs && timestampMs < fault.UntilMs;
        if (isDown && node.IsUp)
        {
            _directory.RemoveAll(node.Index);
            node.Cache.Clear();
        }

        node.IsUp = !isDown;
    }

    private SimulatedNode Route(ReadOnlySpan<ulong> chain)
    {
        if (_scenario.Routing == MeshRouting.Affinity)
        {
            _directory.PrefixLengths(chain, _lengths);
            var blockSeconds = _scenario.BlockBytes / _scenario.RecomputeBytesPerSecond;
            var length = chain.Length;
            _nextNode = (_nextNode + 1) % _nodes.Length;
            return Enumerable.Range(_nextNode, _nodes.Length)
                .Select(index => _nodes[index % _nodes.Length])
                .Where(node => node.IsUp)
                .MinBy(node => node.QueueSeconds + (blockSeconds * (length - _lengths.GetValueOrDefault(node.Index))))!;
        }

        do
        {
            _nextNode = (_nextNode + 1) % _nodes.Length;
        }
        while (!_nodes[_nextNode].IsUp);
        return _nodes[_nextNode];
    }

    /// <summary>How far the chain goes on at other nodes. A use counts where the block is.</summary>
    private int Pull(SimulatedNode node, ReadOnlySpan<ulong> chain, int from)
    {
        var end = from;
        while (end < chain.Length && _directory.HoldersOf(chain[end]) is { Count: > 0 } holders)
        {
            var source = _nodes[holders[(int)(chain[end] % (uint)holders.Count)]];
            if (!ReferenceEquals(source, node))
            {
                source.SentBytes += _scenario.BlockBytes;
                source.Cache.Touch(chain[end], out _);
            }

            end++;
        }

        return end;
    }

    /// <summary>From the tail to the head, so that a chain leaves from its tail.</summary>
    private void Keep(SimulatedNode node, ReadOnlySpan<ulong> chain, int local, int held)
    {
        for (var index = chain.Length - 1; index >= 0; index--)
        {
            var isPulled = index >= local && index < held;
            var wasHere = isPulled ? node.Cache.Offer(chain[index], out var victim) : node.Cache.Touch(chain[index], out victim);
            NoteChange(node.Index, chain[index], wasHere, victim);
        }
    }

    private void NoteChange(int node, ulong id, bool wasHere, ulong? victim)
    {
        if (victim is { } left)
        {
            _directory.Remove(left, node);
        }

        if (!wasHere)
        {
            _directory.Add(id, node);
        }
    }

    private MeshReport Report(int requests) => new(
        _scenario, requests, _blocks, _localHits, _remoteHits, _waitSeconds / Math.Max(1, requests), _remoteHits * _scenario.BlockBytes,
        _placement?.MovedBytes ?? 0, _placement?.Plans ?? 0, _placement?.Orders ?? 0, _placement?.PlanMilliseconds ?? default);
}
