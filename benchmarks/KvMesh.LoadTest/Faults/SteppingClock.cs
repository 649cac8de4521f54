namespace KvMesh.LoadTest.Faults;

/// <summary>The clock of a node, whose time of day can be set while it runs; what measures spans of time goes on evenly, as on a real machine.</summary>
internal sealed class SteppingClock : TimeProvider
{
    private long _offsetTicks;

    public TimeSpan Offset
    {
        get => new(Interlocked.Read(ref _offsetTicks));
        set => Interlocked.Exchange(ref _offsetTicks, value.Ticks);
    }

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + Offset;
}
