namespace KvMesh.Engine.FarTiers;

/// <summary>A fetch that one thread does and others wait for.</summary>
internal sealed class RunningFetch
{
    private readonly Lock _lock = new();
    private ManualResetEventSlim? _ended;
    private bool _isEnded;
    private int _waiters;
    private volatile bool _isForgotten;

    /// <summary>Whether the block was removed while it was on its way.</summary>
    public bool IsForgotten
    {
        get => _isForgotten;
        set => _isForgotten = value;
    }

    /// <summary>False when it did not end in time, or when too many wait already.</summary>
    public bool WaitForEnd(FarTierOptions options)
    {
        lock (_lock)
        {
            if (_isEnded)
            {
                return true;
            }

            if (_waiters >= options.MaxWaitersPerBlock)
            {
                return false;
            }

            _waiters++;
            _ended ??= new ManualResetEventSlim();
        }

        return _ended.Wait(options.LongestDeadline);
    }

    public void End()
    {
        lock (_lock)
        {
            _isEnded = true;
            _ended?.Set();
        }
    }
}
