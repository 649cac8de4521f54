using KvMesh.TestKit;

namespace KvMesh.LoadTest.Faults.Cases;

/// <summary>A node of its own keeps its sequences in a file, and there is no room for it. Afterwards the node is killed and reads the file again.</summary>
internal sealed class FullJournal : Fault
{
    private FaultNode? _node;
    private SmallVolume? _volume;
    private SequenceCaller? _session;
    private IAsyncDisposable? _end;
    private IAsyncDisposable? _callers;

    public override string Name => $"full disk under the journal of sequences ({_volume?.Kind})";

    public override TimeSpan Duration(FaultSettings settings) => settings.Down;

    public override IReadOnlyCollection<string> Hurt(FaultBench bench) => ["alone"];

    public override async Task PrepareAsync(FaultBench bench)
    {
        _node = new FaultNode("alone", null, null, "--arena", "48MiB");
        _volume = await SmallVolume.CreateAsync(_node.DataDirectory);
        _node.Program = _volume.Program;
        await _node.StartAsync();
        _callers = bench.Workload.Attach(_node.Target);
        (_session, _end) = await bench.Workload.BeginSessionAsync("alone", [_node.Target], () => 0);
    }

    public override async Task BreakAsync(FaultBench bench)
    {
        await _volume!.FillAsync(_node!.ProcessId);
        var from = bench.Workload.Traffic.Counts.Undecided;
        await Eventually.Holds(() => bench.Workload.Traffic.Counts.Undecided > from + 1, "a step that the node could not write down");
    }

    public override Task MendAsync(FaultBench bench) => _volume!.EmptyAsync(_node!.ProcessId);

    public override async Task VerifyAsync(FaultBench bench)
    {
        await _session!.VerifyAsync().Within("the comparison of the session");
        await _node!.KillAsync();
        await _node.RestartAsync();
        await _session.VerifyAsync().Within("the comparison of the session after a crash");
    }

    protected override async Task CleanUpAsync()
    {
        await (_end?.DisposeAsync() ?? ValueTask.CompletedTask);
        await (_callers?.DisposeAsync() ?? ValueTask.CompletedTask);
        await (_node?.DisposeAsync() ?? ValueTask.CompletedTask);
        await (_volume?.DisposeAsync() ?? ValueTask.CompletedTask);
    }
}
