using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Cluster.Tests.Placement.Scheduler;

public sealed class EmbeddedPlacementJournalTests : PlacementJournalContract, IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly EmbeddedPlacementJournal _journal = new(null, NullLoggerFactory.Instance);

    private string Path => System.IO.Path.Combine(_directory.Path, "placement.json");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Audit_and_pause_outlive_the_process_and_orders_do_not()
    {
        await Open().WriteAsync(5, Change(isPaused: true, lastOrder: 7, orders: [Order(7)], lines: ["pause"]), CancellationToken.None);

        var page = (await Open().ReadAsync(6, CancellationToken.None))!;

        Assert.Equal(("ann", "pause", "a subject"), (page.Audit[0].Actor, page.Audit[0].Action, page.Audit[0].Subject));
        Assert.True(page.IsPaused);
        Assert.Empty(page.Orders);
    }

    [Fact]
    public async Task A_damaged_file_is_begun_anew()
    {
        await Open().WriteAsync(5, Change(isPaused: true, lines: ["pause"]), CancellationToken.None);
        var whole = await File.ReadAllBytesAsync(Path);
        await File.WriteAllBytesAsync(Path, whole[..(whole.Length / 2)]);

        var page = (await Open().ReadAsync(6, CancellationToken.None))!;

        Assert.Empty(page.Audit);
        Assert.True(await Open().WriteAsync(6, Change(lines: ["resume"]), CancellationToken.None));
        Assert.Single((await Open().ReadAsync(7, CancellationToken.None))!.Audit);
    }

    [Fact]
    public async Task A_folder_that_cannot_be_written_costs_the_next_process_only()
    {
        var journal = new EmbeddedPlacementJournal(System.IO.Path.Combine(_directory.Path, "missing"), NullLoggerFactory.Instance);

        Assert.True(await journal.WriteAsync(5, Change(isPaused: true), CancellationToken.None));
        Assert.True((await journal.ReadAsync(6, CancellationToken.None))!.IsPaused);
    }

    protected override IPlacementJournal Connect() => _journal;

    protected override Task AppointAsync(long token) => Task.CompletedTask;

    private EmbeddedPlacementJournal Open() => new(_directory.Path, NullLoggerFactory.Instance);
}
