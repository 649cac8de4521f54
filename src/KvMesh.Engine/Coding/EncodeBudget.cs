namespace KvMesh.Engine.Coding;

/// <summary>
/// How much of one processor encoding may take, so that requests do not wait for it. What was not used is kept for a second; a block that
/// was begun is finished, and what it took beyond is owed. What counts is the processor's time of the threads that encode: on a busy machine they wait
/// for a processor, and that takes nothing from anybody. Any thread.
/// </summary>
/// <param name="share">Processors, or a part of one.</param>
/// <param name="time">Gives the share.</param>
/// <param name="used">Processor time of the calling thread so far; null: as the system says.</param>
public sealed class EncodeBudget(double share, TimeProvider time, Func<TimeSpan>? used = null)
{
    private static readonly TimeSpan Kept = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly Func<TimeSpan> _used = used ?? ThreadTime.Read;
    private long _filledAt = time.GetTimestamp();
    private TimeSpan _left = Kept * share;

    /// <summary>Whether a block may be begun now.</summary>
    public bool HasTime
    {
        get
        {
            lock (_lock)
            {
                var now = time.GetTimestamp();
                var filled = _left + (time.GetElapsedTime(_filledAt, now) * share);
                _left = filled < Kept * share ? filled : Kept * share;
                _filledAt = now;
                return _left > TimeSpan.Zero;
            }
        }
    }

    /// <summary>A block is begun. Its encoder gives the result to <see cref="End"/>, on the same thread.</summary>
    public TimeSpan Begin() => _used();

    /// <summary>What this thread has used since <see cref="Begin"/> is spent, and what threads took that helped it.</summary>
    public void End(TimeSpan begun, TimeSpan helped = default) => Spend(_used() - begun + helped);

    /// <summary>Processor time that was taken.</summary>
    public void Spend(TimeSpan taken)
    {
        lock (_lock)
        {
            _left -= taken;
        }
    }
}
