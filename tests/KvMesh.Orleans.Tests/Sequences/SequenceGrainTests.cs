using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit.Sequences;

namespace KvMesh.Orleans.Tests.Sequences;

/// <summary>What a grain adds to the contract of its store: it knows the head without asking, and an activation that was followed changes nothing.</summary>
public sealed class SequenceGrainTests : IAsyncLifetime
{
    private readonly SequenceId _id = new("acme", "chat");
    private readonly SiloPair _silos = new();

    public Task InitializeAsync() => _silos.InitializeAsync();

    public Task DisposeAsync() => _silos.DisposeAsync();

    [Fact]
    public async Task Steps_of_both_silos_go_over_one_activation_and_who_reads_gets_what_is_stored()
    {
        var head = await StepAsync(_silos.Next(), null);
        head = await StepAsync(_silos.Next(), head);
        Assert.Equal(1, _silos.Reads);

        // The storage moves on behind the activation's back, as when another took its place.
        await _silos.Rows.WriteAsync(_id, StepOf(head), default);

        Assert.Equal(3, (await _silos.Next().ReadAsync(_id, default)).Head!.Version);
        Assert.Equal(3, (await _silos.Next().ReadAsync(_id, default)).Head!.Version);
    }

    [Fact]
    public async Task An_activation_that_was_followed_writes_nothing_and_learns_what_is_stored()
    {
        var head = await StepAsync(_silos.Next(), null);
        var follower = StepOf(head);
        Assert.Equal(StoreStatus.Ok, (await _silos.Rows.WriteAsync(_id, follower, default)).Status);

        var late = await _silos.Next().WriteAsync(_id, StepOf(head, stamp: 7), default);

        Assert.Equal((StoreStatus.Conflict, follower.Head.Stamp), (late.Status, late.Head!.Stamp));
        Assert.Equal(follower.Head.Stamp, (await _silos.Rows.ReadAsync(_id, default)).Head!.Stamp);
        await StepAsync(_silos.Next(), late.Head);
    }

    [Theory]
    [InlineData(SequenceState.Parked, 2)]
    [InlineData(SequenceState.Active, 1)]
    public async Task Gives_itself_up_when_the_sequence_rests(SequenceState state, int expectedReads)
    {
        var head = await StepAsync(_silos.Next(), null);
        await StepAsync(_silos.Next(), head, state);
        var before = _silos.Reads;

        // Who reads gets what is stored; an activation that begins has read it once already.
        Assert.Equal(2, (await _silos.Next().ReadAsync(_id, default)).Head!.Version);

        Assert.Equal(expectedReads, _silos.Reads - before);
    }

    private async Task<SequenceHead> StepAsync(ISequenceStore store, SequenceHead? before, SequenceState state = SequenceState.Active)
    {
        var step = StepOf(before, state: state);
        Assert.Equal(StoreStatus.Ok, (await store.WriteAsync(_id, step, default)).Status);
        return step.Head;
    }

    private static SequenceWrite StepOf(SequenceHead? before, int stamp = 3, SequenceState state = SequenceState.Active)
    {
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        var head = (before ?? new SequenceHead { RowsId = 1, CreatedAt = now, TouchedAt = now, IdleMilliseconds = 3_600_000, ExpiresAt = now + 3_600_000, Scope = SequenceCommands.Open().Scope }) with
        {
            Version = (before?.Version ?? 0) + 1,
            Stamp = (before?.Stamp ?? 0) + stamp,
            State = state,
        };
        return new SequenceWrite(head, before?.Version ?? 0, before?.Stamp ?? 0, default, 0, head.ExpiresAt, now);
    }
}
