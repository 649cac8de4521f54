using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Placement;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;
using KvMesh.TestKit.Sequences;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Cluster.Tests.Placement;

public sealed class SessionBookTests
{
    private static readonly SequenceId Id = new("default", "chat");

    [Fact]
    public async Task Tells_how_many_pins_wait_for_copies_and_for_how_long_the_oldest_has()
    {
        var clock = new SimulatedClock();
        using var store = new EmbeddedSequenceStore(path: null, new SequenceRules(), clock, NullLoggerFactory.Instance);
        await using var host = new SequenceHost(store, new SequenceHostOptions { Node = "one" }, clock, NullLoggerFactory.Instance);
        var book = new SessionBook(host, ["default"], TimeSpan.FromMinutes(1), clock);
        var epoch = (await host.ExecuteAsync(Id, SequenceCommands.Open(), default)).Info!.Epoch;
        Assert.True((await host.ExecuteAsync(Id, SequenceCommands.Append(epoch, after: 0), default)).IsOk);
        var until = clock.GetUtcNow().AddHours(1).ToUnixTimeMilliseconds();
        var pin = (await host.ExecuteAsync(Id, new PinSequence { Replicas = 2, Until = until }, default)).Info!.Pin;
        Assert.Equal((0, TimeSpan.Zero), book.Pending());

        await RefreshAsync();
        clock.Advance(TimeSpan.FromMinutes(3));
        await RefreshAsync();
        Assert.Equal((1, TimeSpan.FromMinutes(3)), book.Pending());

        await host.ExecuteAsync(Id, new ConfirmPin { Number = pin.Number, Copies = 2 }, default);
        await RefreshAsync();
        Assert.Equal((0, TimeSpan.Zero), book.Pending());

        // A lost copy makes it wait anew.
        await host.ExecuteAsync(Id, new ConfirmPin { Number = pin.Number, Copies = 1 }, default);
        await RefreshAsync();
        clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal((1, TimeSpan.FromSeconds(5)), book.Pending());

        ValueTask RefreshAsync() => book.RefreshAsync([new SessionName(Id.Tenant, Id.Name)], default);
    }

    [Fact]
    public async Task One_whose_return_is_guessed_is_looked_after_when_that_comes_near_and_left_alone_when_it_does_not_come()
    {
        var clock = new SimulatedClock();
        using var store = new EmbeddedSequenceStore(path: null, new SequenceRules(), clock, NullLoggerFactory.Instance);
        await using var host = new SequenceHost(store, new SequenceHostOptions { Node = "one" }, clock, NullLoggerFactory.Instance);
        var book = new SessionBook(host, ["default"], TimeSpan.FromMinutes(1), clock);
        var epoch = (await host.ExecuteAsync(Id, SequenceCommands.Open(), default)).Info!.Epoch;
        Assert.True((await host.ExecuteAsync(Id, SequenceCommands.Append(epoch, after: 0), default)).IsOk);
        for (var turn = 0; turn < 3; turn++)
        {
            await host.ExecuteAsync(Id, new ParkSequence { NextHolder = "one" }, default);
            clock.Advance(TimeSpan.FromMinutes(10));
            await host.ExecuteAsync(Id, new ResumeSequence { Holder = "one" }, default);
        }

        await host.ExecuteAsync(Id, new ParkSequence { NextHolder = "one" }, default);
        var parkedAt = clock.GetUtcNow();
        await book.RefreshAsync([new SessionName(Id.Tenant, Id.Name)], default);
        Assert.Empty(book.Sessions);

        // It is not heard of again: the book itself knows when to look.
        clock.Advance(TimeSpan.FromMinutes(9));
        await book.RefreshAsync([], default);
        Assert.Equal((parkedAt.AddMinutes(10).ToUnixTimeMilliseconds(), true), Assert.Single(book.Sessions).Expected);

        clock.Advance(TimeSpan.FromMinutes(2));
        await book.RefreshAsync([], default);
        Assert.Empty(book.Sessions);
    }
}
