namespace KvMesh.Simulation.Mesh;

/// <summary>The time of a trace: it stands still until the next request.</summary>
internal sealed class TraceClock : TimeProvider
{
    private TimeSpan _now;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch + _now;

    public override long GetTimestamp() => _now.Ticks;

    public void MoveTo(TimeSpan now) => _now = now > _now ? now : _now;
}
