using KvMesh.TestKit;

namespace KvMesh.LoadTest.Faults.Cases;

/// <summary>The disk of one node has no room left, for blocks or for anything else.</summary>
/// <param name="isEncoded">Whether the node keeps its blocks in fewer bytes, in RAM and on disk.</param>
internal sealed class FullDisk(bool isEncoded = false) : Fault
{
    private const string Stored = "kvmesh_tier_stored_bytes_total{kvmesh_tier=\"disk\"}";

    /// <summary>Its disk takes what lies encoded in RAM as it lies.</summary>
    private const string Encoded = "kvmesh_codec_encoded_total{kvmesh_codec=\"opaque\",kvmesh_tier=\"host\"}";

    private FaultNode? _node;
    private SmallVolume? _volume;
    private IAsyncDisposable? _callers;

    public override string Name => $"full disk of a node{(isEncoded ? " whose blocks lie encoded" : "")} ({_volume?.Kind})";

    public override TimeSpan Duration(FaultSettings settings) => settings.Stopped;

    public override IReadOnlyCollection<string> Hurt(FaultBench bench) => ["disk"];

    public override NodeTarget PinWriter(FaultBench bench) => _node!.Target;

    public override IEnumerable<NodeTarget> PinReaders(FaultBench bench) => [.. bench.Mesh.Targets, _node!.Target];

    public override async Task PrepareAsync(FaultBench bench)
    {
        var environment = new Dictionary<string, string> { ["KVMESH_Engine__Disk__SegmentBytes"] = "1MiB" };
        if (isEncoded)
        {
            environment["KVMESH_Codecs__Rules__0__Layout"] = environment["KVMESH_Codecs__Rules__0__Host"] = environment["KVMESH_Codecs__Rules__0__Disk"] = "opaque";
            environment["KVMESH_Engine__HostCoding__EncodeFrom"] = "0";
        }

        _node = new FaultNode("disk", bench.Mesh.RedisForGuests, environment, "--arena", "8MiB", "--disk", "1GiB");
        _volume = await SmallVolume.CreateAsync(_node.DataDirectory);
        _node.Program = _volume.Program;
        await _node.StartAsync();
        await bench.Mesh.SeeEachOtherAsync("disk");
        _callers = bench.Workload.Attach(_node.Target);
        await WritesToDiskAsync();
        await EncodesAsync();
    }

    public override Task BreakAsync(FaultBench bench) => _volume!.FillAsync(_node!.ProcessId);

    public override Task MendAsync(FaultBench bench) => _volume!.EmptyAsync(_node!.ProcessId);

    public override async Task VerifyAsync(FaultBench bench)
    {
        await WritesToDiskAsync();
        await EncodesAsync();
        await bench.Mesh.SeeEachOtherAsync("disk");
    }

    protected override async Task CleanUpAsync()
    {
        if (_callers is not null)
        {
            await _callers.DisposeAsync();
            await _node!.EndAsync();
        }

        await (_node?.DisposeAsync() ?? ValueTask.CompletedTask);
        await (_volume?.DisposeAsync() ?? ValueTask.CompletedTask);
    }

    /// <summary>Waits until further blocks came to disk.</summary>
    private async Task WritesToDiskAsync()
    {
        var from = await _node!.ReadMetricAsync(Stored);
        await Eventually.Holds(async () => await _node.ReadMetricAsync(Stored) > from, $"blocks written to the disk of {_node.Target.Name}");
    }

    /// <summary>Waits until further blocks were encoded.</summary>
    private async Task EncodesAsync()
    {
        var from = isEncoded ? await _node!.ReadMetricAsync(Encoded) : 0;
        await Eventually.Holds(async () => !isEncoded || await _node!.ReadMetricAsync(Encoded) > from, $"blocks encoded in RAM of {_node!.Target.Name}");
    }
}
