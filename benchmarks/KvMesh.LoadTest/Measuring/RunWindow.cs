using System.Diagnostics;

namespace KvMesh.LoadTest.Measuring;

/// <summary>How long a run lasts: until the time is over, or until its budget of bytes is used up.</summary>
internal sealed class RunWindow(TimeSpan time, long byteBudget = long.MaxValue)
{
    private readonly bool _isBounded = byteBudget != long.MaxValue;
    private readonly long _end = Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency);
    private long _bytesLeft = byteBudget;

    /// <summary>Whether another request of <paramref name="bytes"/> begins. Counts it when so.</summary>
    public bool TryBegin(long bytes) =>
        Stopwatch.GetTimestamp() < _end && (!_isBounded || Interlocked.Add(ref _bytesLeft, -bytes) >= 0);
}
