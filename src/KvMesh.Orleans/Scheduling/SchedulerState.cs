namespace KvMesh.Orleans.Scheduling;

/// <summary>The last term that was given.</summary>
[GenerateSerializer]
[Alias("kvmesh.scheduler-state")]
internal sealed class SchedulerState
{
    /// <summary>Empty: nobody's.</summary>
    [Id(0)]
    public string Holder { get; set; } = "";

    /// <summary>Only grows.</summary>
    [Id(1)]
    public long Token { get; set; }

    /// <summary>How long a holder that says nothing keeps it.</summary>
    [Id(2)]
    public TimeSpan Duration { get; set; }
}
