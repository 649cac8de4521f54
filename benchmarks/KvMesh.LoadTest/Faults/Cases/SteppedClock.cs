namespace KvMesh.LoadTest.Faults.Cases;

/// <summary>The time of day of one node jumps an hour ahead, then to an hour behind, then to what it is.</summary>
internal sealed class SteppedClock : Fault
{
    private readonly SteppingClock _clock = new();
    private EmbeddedGuest? _guest;
    private IAsyncDisposable? _callers;
    private SequenceCaller? _session;
    private IAsyncDisposable? _endOfSession;

    public override string Name => "clock of a node 1 h ahead, then 1 h behind (the node's own clock, in process)";

    public override TimeSpan Duration(FaultSettings settings) => settings.Down;

    public override IReadOnlyCollection<string> Hurt(FaultBench bench) => ["clock"];

    public override async Task PrepareAsync(FaultBench bench)
    {
        _guest = await EmbeddedGuest.StartAsync("clock", bench.Mesh.RedisForGuests, new() { Time = _clock });
        await bench.Mesh.SeeEachOtherAsync("clock");
        _callers = bench.Workload.Attach(_guest.Target);
        (_session, _endOfSession) = await bench.Workload.BeginSessionAsync("clock", [_guest.Target, bench.Mesh.Targets[0]], () => bench.Mesh.DataLosses);
    }

    public override async Task BreakAsync(FaultBench bench)
    {
        _clock.Offset = TimeSpan.FromHours(1);
        await Task.Delay(Duration(bench.Settings), CancellationToken.None);
        await bench.Workload.PassAsync(Traffic.WindowGets);
        _clock.Offset = TimeSpan.FromHours(-1);
    }

    public override Task MendAsync(FaultBench bench)
    {
        _clock.Offset = TimeSpan.Zero;
        return Task.CompletedTask;
    }

    public override async Task VerifyAsync(FaultBench bench)
    {
        await bench.Mesh.SeeEachOtherAsync("clock");
        await _session!.VerifyAsync();
    }

    protected override async Task CleanUpAsync()
    {
        foreach (var end in new IAsyncDisposable?[] { _endOfSession, _callers, _guest })
        {
            await (end?.DisposeAsync() ?? ValueTask.CompletedTask);
        }
    }
}
