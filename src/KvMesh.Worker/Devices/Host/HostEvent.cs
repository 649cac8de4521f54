namespace KvMesh.Worker.Devices.Host;

/// <summary>A point in a <see cref="HostStream"/>. A stream that waits for it goes on waiting when it is disposed.</summary>
internal sealed class HostEvent(HostDevice device) : IDeviceEvent
{
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isDisposed;

    public HostDevice Device { get; } = device;

    public bool IsDone
    {
        get
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            return _done.Task.IsCompleted;
        }
    }

    /// <summary>Done when the event is.</summary>
    public Task Whenever
    {
        get
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            return _done.Task;
        }
    }

    public void Wait() => Whenever.Wait();

    public void Set() => _done.TrySetResult();

    public void Dispose() => _isDisposed = true;
}
