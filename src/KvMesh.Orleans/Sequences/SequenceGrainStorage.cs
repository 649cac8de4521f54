using KvMesh.Cluster.Sequences;
using Orleans.Storage;

namespace KvMesh.Orleans.Sequences;

/// <summary>
/// Keeps the state of sequence grains where another host of sequences keeps heads and rows. Both are written in one step, over the version and stamp that are
/// the ETag: an activation that does not know yet that it was followed can change neither. A cluster may go from that host to this one and back.
/// </summary>
internal sealed class SequenceGrainStorage(ISequenceStore store) : IGrainStorage
{
    public const string Name = "kvmesh-sequences";

    public async Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        var stored = await store.ReadAsync(IdOf(grainId), CancellationToken.None);
        if (stored.Status != StoreStatus.Ok)
        {
            throw new SequenceStorageException(stored.Text);
        }

        var bytes = stored.Head is { } head ? SequenceHeadFormat.Write(head) : [];
        grainState.State = (T)(object)new SequenceState { Head = bytes };
        Note(grainState, stored.Head);
    }

    public async Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        var state = (SequenceState)(object)grainState.State!;
        if (state.Step is not { } step)
        {
            throw new InvalidOperationException("Only a step is written.");
        }

        var expected = EtagOf(step.ExpectedVersion, step.ExpectedStamp);
        if (grainState.ETag != expected)
        {
            throw new InconsistentStateException("The step was made from another head than the grain has.", grainState.ETag, expected);
        }

        var written = await store.WriteAsync(IdOf(grainId), step, CancellationToken.None);
        switch (written.Status)
        {
            case StoreStatus.Ok:
                Note(grainState, step.Head);
                break;
            case StoreStatus.Conflict:
                throw new InconsistentStateException("Another activation wrote the sequence.", EtagOf(written.Head), expected);
            default:
                throw new SequenceStorageException(written.Text);
        }
    }

    public Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState) =>
        throw new NotSupportedException("Sequences end by a step, or by their time.");

    private static void Note<T>(IGrainState<T> grainState, SequenceHead? head) => (grainState.RecordExists, grainState.ETag) = (head is not null, EtagOf(head));

    private static string EtagOf(SequenceHead? head) => EtagOf(head?.Version ?? 0, head?.Stamp ?? 0);

    private static string EtagOf(long version, int stamp) => $"{version}.{stamp}";

    private static SequenceId IdOf(GrainId grainId) => IdOf(grainId.Key.ToString()!);

    /// <summary>The last '/' divides, since no name has one.</summary>
    private static SequenceId IdOf(string key)
    {
        var cut = key.LastIndexOf('/');
        return new SequenceId(key[..cut], key[(cut + 1)..]);
    }
}
