namespace KvMesh.Worker.Mesh;

/// <summary>What a worker exchanged with the mesh since it began.</summary>
public readonly record struct MeshFigures
{
    /// <summary>Blocks that were pulled whole.</summary>
    public long PulledBlocks { get; init; }

    /// <summary>Blocks that came by section from a prefill worker.</summary>
    public long FollowedBlocks { get; init; }

    /// <summary>Bytes of both.</summary>
    public long PulledBytes { get; init; }

    /// <summary>Prompts whose missing blocks another worker computed.</summary>
    public long DelegatedPrompts { get; init; }

    /// <summary>Prompts whose missing blocks another worker was to compute, and that were computed here.</summary>
    public long FailedDelegations { get; init; }

    /// <summary>Blocks that were published, or were there already.</summary>
    public long PublishedBlocks { get; init; }

    /// <summary>Blocks that were not published: the node was full or not there, or too much was on its way to it.</summary>
    public long DroppedBlocks { get; init; }

    /// <summary>Blocks of the worker's memory that its node was told of.</summary>
    public long AnnouncedBlocks { get; init; }

    /// <summary>Parts of those that the node took.</summary>
    public long HandedOverBlocks { get; init; }

    /// <summary>Blocks that the worker let go because they were removed in the mesh.</summary>
    public long ForgottenBlocks { get; init; }

    /// <summary>Answers behind which the sequence that they belong to was parked with all its blocks.</summary>
    public long ParkedSequences { get; init; }

    /// <summary>Answers whose sequence was not kept: the mesh was away, refused, or gave it to another worker meanwhile.</summary>
    public long UnkeptSequences { get; init; }
}

/// <summary>Counts for <see cref="MeshFigures"/>. Any thread.</summary>
internal sealed class MeshCounters
{
    private readonly Lock _lock = new();
    private MeshFigures _figures;

    public MeshFigures Figures
    {
        get
        {
            lock (_lock)
            {
                return _figures;
            }
        }
    }

    public void Add(Func<MeshFigures, MeshFigures> change)
    {
        lock (_lock)
        {
            _figures = change(_figures);
        }
    }
}
