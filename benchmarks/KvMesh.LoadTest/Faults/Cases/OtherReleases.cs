using KvMesh.Protocol.Native;
using KvMesh.TestKit;

namespace KvMesh.LoadTest.Faults.Cases;

/// <summary>
/// A node that speaks the next version of the protocol beside this one joins and leaves, and one that has no version in common with the others, which they
/// must leave alone.
/// </summary>
internal sealed class OtherReleases : Fault
{
    private static readonly string Next = $"{NativeLimits.Version}-{NativeLimits.Version + 1}";
    private static readonly string AfterNext = $"{NativeLimits.Version + 1}-{NativeLimits.Version + 2}";

    private readonly List<EmbeddedGuest> _guests = [];
    private IAsyncDisposable? _callers;

    public override string Name => "a node of the next protocol version joins, and one that has none in common";

    public override TimeSpan Duration(FaultSettings settings) => settings.Down;

    public override async Task BreakAsync(FaultBench bench)
    {
        _guests.Add(await EmbeddedGuest.StartAsync("next", bench.Mesh.RedisForGuests, new(), Next));
        _guests.Add(await EmbeddedGuest.StartAsync("stranger", bench.Mesh.RedisForGuests, new(), AfterNext));

        // The stranger has no word in common with this program's clients either.
        _callers = bench.Workload.Attach(_guests[0].Target);
        await bench.Mesh.SeeEachOtherAsync("next");
        using var admin = PatientAdmin.Of(bench.Mesh.Targets[0].Http);
        await Eventually.Holds(
            async () => (await admin.GetNodesAsync(CancellationToken.None)).Nodes.Any(node => node is { Id: "stranger", IsUsed: false }),
            "the node without a common version, listed as not used");
    }

    public override Task MendAsync(FaultBench bench) => EndAsync();

    protected override Task CleanUpAsync() => EndAsync();

    private async Task EndAsync()
    {
        await (_callers?.DisposeAsync() ?? ValueTask.CompletedTask);
        _callers = null;
        foreach (var guest in _guests)
        {
            await guest.DisposeAsync();
        }

        _guests.Clear();
    }
}
