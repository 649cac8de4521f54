namespace KvMesh.LoadTest.Faults;

/// <summary>One thing that goes wrong, and how it is put right.</summary>
internal abstract class Fault : IAsyncDisposable
{
    /// <summary>As the table names it.</summary>
    public abstract string Name { get; }

    /// <summary>How long it lasts.</summary>
    public abstract TimeSpan Duration(FaultSettings settings);

    /// <summary>Names of the nodes that it hits: how their clients fare is told apart, and recovery is theirs. By default those of the mesh.</summary>
    public virtual IReadOnlyCollection<string> Hurt(FaultBench bench) => [.. bench.Mesh.Targets.Select(node => node.Name)];

    /// <summary>The node that writes the blocks which are pinned in two copies before it: one of those that it hits, where it hits one.</summary>
    public virtual NodeTarget PinWriter(FaultBench bench) => bench.Mesh.Targets[1];

    /// <summary>The nodes that give all of these blocks while it lasts. By default those of the mesh; afterwards these do in any case.</summary>
    public virtual IEnumerable<NodeTarget> PinReaders(FaultBench bench) => bench.Mesh.Targets;

    /// <summary>What must be there before, and is not counted: a node that is a guest.</summary>
    public virtual Task PrepareAsync(FaultBench bench) => Task.CompletedTask;

    public abstract Task BreakAsync(FaultBench bench);

    /// <summary>What must hold while it lasts. Throws when it does not.</summary>
    public virtual Task HoldsAsync(FaultBench bench) => Task.CompletedTask;

    /// <summary>Ends it. From then on recovery is timed.</summary>
    public abstract Task MendAsync(FaultBench bench);

    /// <summary>Proves that the fault was one, and that what it hit is whole again. Throws when not.</summary>
    public virtual Task VerifyAsync(FaultBench bench) => bench.Mesh.SeeEachOtherAsync();

    /// <summary>Takes away what was prepared, while the mesh still serves.</summary>
    public ValueTask DisposeAsync() => new(CleanUpAsync());

    /// <inheritdoc cref="DisposeAsync"/>
    protected virtual Task CleanUpAsync() => Task.CompletedTask;
}

/// <summary>What a fault happens to. One for all faults of a mesh.</summary>
internal sealed class FaultBench(FaultMesh mesh, VerifyingWorkload workload, FaultSettings settings)
{
    private readonly Dictionary<string, (PinnedChain Chain, int Losses)> _pinned = new(StringComparer.Ordinal);

    public FaultMesh Mesh => mesh;

    public VerifyingWorkload Workload => workload;

    public FaultSettings Settings => settings;

    /// <summary>Blocks that were written on a node and are held in two copies, as the mesh says now. A promise that Redis forgot is made anew.</summary>
    public async Task<PinnedChain> HoldPinAsync(NodeTarget writer)
    {
        if (_pinned.TryGetValue(writer.Name, out var pinned) && pinned.Losses == mesh.DataLosses)
        {
            await pinned.Chain.IsHeldAsync(writer);
            return pinned.Chain;
        }

        var losses = mesh.DataLosses;
        var chain = await PinnedChain.HoldAsync(this, writer);
        _pinned[writer.Name] = (chain, losses);
        return chain;
    }
}
