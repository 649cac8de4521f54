using KvMesh.Worker.Mesh;
using KvMesh.Worker.Serving;

namespace KvMesh.Worker.Roles;

/// <summary>What a fetch needs of the worker that it is for.</summary>
/// <param name="Parts">How blocks are cut.</param>
/// <param name="Link">The worker's node.</param>
/// <param name="Follow">A way to the node that a grant names; null: it names none that is followed.</param>
/// <param name="Prefill">Prefill workers; null: none.</param>
/// <param name="PrefillFrom">Fewest missing tokens for which one is asked.</param>
/// <param name="SectionTimeout">Longest wait for the next section.</param>
/// <param name="Counters">Where it counts.</param>
/// <param name="Time">Its clock.</param>
internal sealed record FetchContext(
    BlockParts Parts, MeshLink Link, Func<string, MeshLink?> Follow, PrefillPool? Prefill, int PrefillFrom, TimeSpan SectionTimeout, MeshCounters Counters, TimeProvider Time)
{
    /// <summary>What the mesh delivers.</summary>
    public LoadMeters Meters { get; } = new(Time);

    /// <summary>Whether blocks that the mesh has may be computed where that is sooner; false: all are fetched.</summary>
    public bool MayCompute { get; init; } = true;

    /// <summary>A block that would come later than this counts as not there.</summary>
    public TimeSpan ReadDeadline => SectionTimeout * 2;
}

/// <summary>Brings prefixes: first what the mesh has, whole blocks; then, where it pays, what a prefill worker computes meanwhile, layer by layer.</summary>
internal sealed class PrefixSource(FetchContext context) : IPrefixSource
{
    public IPrefixFetch Begin(SequencePages pages, int wantedBlocks, bool mayDelegate, PrefillOutlook outlook, Action changed) =>
        new PrefixFetch(context, pages, wantedBlocks, mayDelegate, outlook, changed);
}
