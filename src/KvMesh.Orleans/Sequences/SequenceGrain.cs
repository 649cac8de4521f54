using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Sequences;
using Orleans.Placement;
using Orleans.Storage;

namespace KvMesh.Orleans.Sequences;

/// <summary>
/// Owns the head of one sequence. It is activated where it is first asked for and gives itself up when the sequence rests or ends. Calls run one after the
/// other; a step is written over what the one before left in memory, which the storage compares, and whoever reads gets what is stored.
/// </summary>
[PreferLocalPlacement]
[GrainType("kvmesh.sequence")]
internal sealed class SequenceGrain(
    [PersistentState("head", SequenceGrainStorage.Name)] IPersistentState<SequenceState> state) : Grain, ISequenceGrain
{
    private bool _isStale;

    /// <summary>Asks the storage: an activation that was followed by another while its process stood still does not know it, and what it has in memory is old.</summary>
    public async Task<HeadReply> ReadAsync()
    {
        _isStale = true;
        return await RefreshAsync() ?? new HeadReply { Head = state.State.Head };
    }

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

        if (head.State is Protocol.Sequences.SequenceState.Parked or Protocol.Sequences.SequenceState.Closed)
        {
            DeactivateOnIdle();
        }

        return new HeadReply();
    }

    /// <summary>Reads the head again where what is in memory may be wrong. Null: it is right now.</summary>
    private async Task<HeadReply?> RefreshAsync()
    {
        if (!_isStale)
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
        return null;
    }

    private static HeadReply Unavailable(Exception failure) => Unavailable((failure.InnerException ?? failure).Message);

    private static HeadReply Unavailable(string text) => new() { Status = HeadStatus.Unavailable, Text = text };
}
