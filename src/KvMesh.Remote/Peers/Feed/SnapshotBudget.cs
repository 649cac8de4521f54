namespace KvMesh.Remote.Peers.Feed;

/// <summary>
/// What lists of blocks may cost this directory: so many at a time, so many bytes a second. A bucket of a tenth of a second's bytes; who
/// overdraws it waits until it is filled again. Any number of tasks.
/// </summary>
internal sealed class SnapshotBudget(MapFeedOptions options, TimeProvider time) : IDisposable
{
    private readonly SemaphoreSlim _turns = new(options.MaxSnapshots);
    private readonly Lock _lock = new();
    private readonly double _burst = options.SnapshotBytesPerSecond / 10.0;
    private double _left = options.SnapshotBytesPerSecond / 10.0;
    private long _filledAt = time.GetTimestamp();

    public Task EnterAsync(CancellationToken cancellationToken) => _turns.WaitAsync(cancellationToken);

    public void Leave() => _turns.Release();

    /// <summary>Accounts for bytes that were read, and waits as long as they cost.</summary>
    public Task SpendAsync(int bytes, CancellationToken cancellationToken)
    {
        TimeSpan wait;
        lock (_lock)
        {
            var now = time.GetTimestamp();
            _left = Math.Min(_burst, _left + (time.GetElapsedTime(_filledAt, now).TotalSeconds * options.SnapshotBytesPerSecond));
            _filledAt = now;
            _left -= bytes;
            wait = _left >= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(-_left / options.SnapshotBytesPerSecond);
        }

        return wait == TimeSpan.Zero ? Task.CompletedTask : Task.Delay(wait, time, cancellationToken);
    }

    public void Dispose() => _turns.Dispose();
}
