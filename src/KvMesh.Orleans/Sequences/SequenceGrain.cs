using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Sequences;
using Orleans.Placement;
using Orleans.Storage;

namespace KvMesh.Orleans.Sequences;

/// <summary>
/// Owns the head of one sequence. It is activated where it is first asked for and gives itself up when the sequence rests or ends. Calls run one after the
/// other; each takes what the one before left in memory, and asks the storage only where that cannot be trusted.
/// </summary>
[PreferLocalPlacement]
[GrainType("kvmesh.sequence")]
internal sealed class SequenceGrain(
    [PersistentState("head", SequenceGrainStorage.Name)] IPersistentState<SequenceState> state, SequenceRules rules, TimeProvider time) : Grain, ISequenceGrain
{
    private bool _isStale;
    private long _keptFrom;
    private TimeSpan _kept;

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        NoteKept(KeptOf(Head));
        return base.OnActivateAsync(cancellationToken);
    }

    private SequenceHead? Head => SequenceHeadFormat.TryRead(state.State.Head);

    /// <summary>The storage drops a head when its time is over, by its own clock; from then on it is asked each time.</summary>
    private bool MustAsk => _isStale || (state.State.Head.Length > 0 && time.GetElapsedTime(_keptFrom) >= _kept);

    public async Task<HeadReply> ReadAsync() => await RefreshAsync() ?? new HeadReply { Head = state.State.Head };

    public async Task<HeadReply> WriteAsync(HeadWrite write)
    {
        if (SequenceHeadFormat.TryRead(write.Head) is not { } head || !SegmentRow.TryReadAll(write.Rows, out var rows))
        {
            return Unavailable("The owner of the sequence runs a version of the program that cannot read this step.");
        }

        if (await RefreshAsync() is { } silent)
        {
            return silent;
        }

        state.State.Step = new SequenceWrite(head, write.ExpectedVersion, write.ExpectedStamp, rows, write.FirstNewRow, write.KeepUntil, write.Now);
        try
        {
            await state.WriteStateAsync();
            state.State.Head = write.Head;
        }
        catch (InconsistentStateException)
        {
            // Either the step was made from another head than this, or this is not what is stored: what is stored answers both.
            _isStale = true;
            return await RefreshAsync() ?? new HeadReply { Status = HeadStatus.Conflict, Head = state.State.Head };
        }
        catch (OrleansException failure)
        {
            _isStale = true;
            return Unavailable(failure);
        }
        finally
        {
            state.State.Step = null;
        }

        NoteKept(TimeSpan.FromMilliseconds(Math.Max(1, write.KeepUntil - write.Now)));
        if (head.State is Protocol.Sequences.SequenceState.Parked or Protocol.Sequences.SequenceState.Closed)
        {
            DeactivateOnIdle();
        }

        return new HeadReply();
    }

    /// <summary>Reads the head again where what is in memory may be wrong. Null: it is right now.</summary>
    private async Task<HeadReply?> RefreshAsync()
    {
        if (!MustAsk)
        {
            return null;
        }

        try
        {
            await state.ReadStateAsync();
        }
        catch (OrleansException failure)
        {
            return Unavailable(failure);
        }

        _isStale = false;
        NoteKept(KeptOf(Head));
        return null;
    }

    private TimeSpan KeptOf(SequenceHead? head) =>
        TimeSpan.FromMilliseconds(head is null ? 0 : Math.Clamp(head.KeepUntil(rules) - time.GetUtcNow().ToUnixTimeMilliseconds(), 0, int.MaxValue));

    private void NoteKept(TimeSpan kept) => (_keptFrom, _kept) = (time.GetTimestamp(), kept);

    private static HeadReply Unavailable(Exception failure) => Unavailable((failure.InnerException ?? failure).Message);

    private static HeadReply Unavailable(string text) => new() { Status = HeadStatus.Unavailable, Text = text };
}
