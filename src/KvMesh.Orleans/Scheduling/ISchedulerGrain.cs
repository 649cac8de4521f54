namespace KvMesh.Orleans.Scheduling;

/// <summary>The one place in a cluster that says who plans placement. Its key is 0. Methods, aliases and ids are append only.</summary>
[Alias("kvmesh.scheduler")]
internal interface ISchedulerGrain : IGrainWithIntegerKey
{
    [Alias("hold")]
    Task<HoldReply> HoldAsync(HoldRequest request);

    [Alias("release")]
    Task ReleaseAsync(string contender);
}

/// <summary>A contender takes the lease or extends it.</summary>
[GenerateSerializer]
[Immutable]
[Alias("kvmesh.hold-request")]
internal sealed record HoldRequest
{
    /// <summary>Node and run of it: the same node after a restart is another contender.</summary>
    [Id(0)]
    public string Contender { get; init; } = "";

    /// <summary>Tokens below it are not followed any more.</summary>
    [Id(1)]
    public long LeastToken { get; init; }

    [Id(2)]
    public TimeSpan Duration { get; init; }
}

/// <summary>Who holds the lease.</summary>
[GenerateSerializer]
[Immutable]
[Alias("kvmesh.hold-reply")]
internal sealed record HoldReply
{
    [Id(0)]
    public string Holder { get; init; } = "";

    [Id(1)]
    public long Token { get; init; }
}
