using KvMesh.TestKit;

namespace KvMesh.LoadTest.Faults;

/// <summary>
/// What runs while faults happen: on each node an engine that reads and writes chains of blocks and a strict client of the Redis protocol, and
/// sessions over all nodes. Everything that comes back is held against what was acknowledged.
/// </summary>
internal sealed class VerifyingWorkload : IAsyncDisposable
{
    private const int Sessions = 2;

    private readonly List<IDisposable> _strict = [];
    private readonly List<NativeCaller> _native = [];
    private readonly List<SequenceCaller> _sessions = [];
    private readonly List<SequenceCaller> _connected = [];
    private readonly List<Task> _running = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _abandon = new();
    private readonly PutLedger _ledger = new();
    private readonly FaultSettings _settings;
    private int _seed;

    private VerifyingWorkload(FaultSettings settings) => _settings = settings;

    public Traffic Traffic { get; } = new();

    /// <summary>All puts, those of others who take part as well.</summary>
    public PutLedger Ledger => _ledger;

    /// <param name="dataLosses">How often the store of the sequences has lost everything so far.</param>
    public static async Task<VerifyingWorkload> StartAsync(IReadOnlyList<NodeTarget> nodes, Func<int> dataLosses, FaultSettings settings)
    {
        var workload = new VerifyingWorkload(settings) { _seed = 1 };
        for (var home = 0; home < nodes.Count; home++)
        {
            workload.Attach([.. nodes.Skip(home), .. nodes.Take(home)]);
        }

        for (var session = 0; session < Sessions; session++)
        {
            var (caller, _) = await workload.BeginSessionAsync($"session-{session}", [.. nodes], dataLosses);
            workload._sessions.Add(caller);
        }

        return workload;
    }

    /// <summary>A session over these nodes alone. It ends with the second value, which is to be done while they serve.</summary>
    public async Task<(SequenceCaller Session, IAsyncDisposable End)> BeginSessionAsync(string name, NodeTarget[] nodes, Func<int> dataLosses)
    {
        var caller = await SequenceCaller.ConnectAsync(name, nodes, Traffic, dataLosses, _settings, _seed++);
        var stop = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        var running = Task.Run(() => caller.RunAsync(stop.Token, _abandon.Token));
        _running.Add(running);
        _connected.Add(caller);
        return (caller, new Detachment(stop, running));
    }

    /// <summary>Callers of one more node, which has the first place. They end with the returned value, which is to be done while the node serves.</summary>
    public IAsyncDisposable Attach(params NodeTarget[] nodes)
    {
        var stop = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        var native = new NativeCaller(nodes, _ledger, Traffic, _settings, _seed++);
        var strict = new StrictCaller(nodes[0], _ledger, Traffic, _seed++);
        var running = Task.WhenAll(Task.Run(() => native.RunAsync(stop.Token)), Task.Run(() => strict.RunAsync(stop.Token, _abandon.Token)));
        _native.Add(native);
        _strict.Add(strict);
        _running.Add(running);
        return new Detachment(stop, running);
    }

    /// <summary>Waits until so many gets were counted from now on, and the hit ratio is one that a fault can spoil.</summary>
    public async Task SettleAsync()
    {
        await PassAsync(Traffic.WindowGets);
        await Eventually.Holds(() => Task.FromResult(Traffic.RatioNow > 0.9), () => $"a hit ratio above 0.9 at rest; it is {Traffic.RatioNow:0.00}, after {Traffic.Counts}");
    }

    /// <summary>Waits until so many further gets were counted.</summary>
    public Task PassAsync(long gets)
    {
        var from = Traffic.Counts.Gets;
        return Eventually.Holds(() => Traffic.Counts.Gets >= from + gets, $"{gets} gets of the workload");
    }

    /// <summary>Compares all sessions with what was acknowledged.</summary>
    public async Task VerifySessionsAsync()
    {
        foreach (var session in _sessions)
        {
            await session.VerifyAsync().Within("the comparison of a session");
        }
    }

    /// <summary>Ends all callers wherever they are, as far as they can be ended; for a mesh that does not answer any more.</summary>
    public async Task AbandonAsync()
    {
        await _stop.CancelAsync();
        await _abandon.CancelAsync();
        await Task.WhenAll(_running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        try
        {
            await Task.WhenAll(_running).Within("the end of every caller");
        }
        finally
        {
            await _abandon.CancelAsync();
            _strict.ForEach(caller => caller.Dispose());
            await Task.WhenAll(_native.Select(caller => caller.DisposeAsync().AsTask()));
            await Task.WhenAll(_connected.Select(caller => caller.DisposeAsync().AsTask()));
            _stop.Dispose();
            _abandon.Dispose();
        }
    }

    private sealed class Detachment(CancellationTokenSource stop, Task running) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await stop.CancelAsync();
            await running.Within("the end of the callers of a node");
            stop.Dispose();
        }
    }
}
