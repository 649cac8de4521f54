namespace KvMesh.Orleans.Sequences;

/// <summary>
/// The one place in a cluster where the head of a sequence is kept. Its key is tenant and name (<see cref="Cluster.Sequences.SequenceId"/>). Heads and rows
/// travel in their stored forms, which versions N and N−1 of the program read of each other; methods, aliases and ids are append only.
/// </summary>
[Alias("kvmesh.sequence")]
internal interface ISequenceGrain : IGrainWithStringKey
{
    [Alias("read")]
    Task<HeadReply> ReadAsync();

    /// <summary>Writes a step over the version that it was made from. Head and rows are stored before this answers that they are.</summary>
    [Alias("write")]
    Task<HeadReply> WriteAsync(HeadWrite write);
}

/// <summary>A step, as <see cref="Cluster.Sequences.SequenceWrite"/> says it.</summary>
[GenerateSerializer]
[Immutable]
[Alias("kvmesh.head-write")]
internal sealed record HeadWrite
{
    [Id(0)]
    public byte[] Head { get; init; } = [];

    [Id(1)]
    public long ExpectedVersion { get; init; }

    [Id(2)]
    public int ExpectedStamp { get; init; }

    [Id(3)]
    public byte[] Rows { get; init; } = [];

    [Id(4)]
    public int FirstNewRow { get; init; }

    [Id(5)]
    public long KeepUntil { get; init; }

    [Id(6)]
    public long Now { get; init; }
}

/// <summary>The head that is there; empty: none, or that which was written.</summary>
[GenerateSerializer]
[Immutable]
[Alias("kvmesh.head-reply")]
internal sealed record HeadReply
{
    [Id(0)]
    public HeadStatus Status { get; init; }

    [Id(1)]
    public byte[] Head { get; init; } = [];

    [Id(2)]
    public string Text { get; init; } = "";
}

/// <summary>Sent: append only.</summary>
internal enum HeadStatus : byte
{
    Ok = 0,
    Conflict = 1,
    Unavailable = 2,
}
