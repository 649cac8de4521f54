namespace KvMesh.Worker.Devices.Cuda;

/// <summary>A point in a <see cref="CudaStream"/>, as the driver keeps it.</summary>
internal sealed unsafe class CudaEvent : IDeviceEvent
{
    private int _isDisposed;

    public CudaEvent(CudaDevice device, nint stream)
    {
        Device = device;
        nint handle;
        device.Driver.Check(device.Driver.EventCreate(&handle, CudaDriver.EventBlockingUntimed), "cuEventCreate");
        Handle = handle;
        var result = device.Driver.EventRecord(handle, stream);
        if (result != CudaDriver.Success)
        {
            Dispose();
            throw device.Driver.Failure(result, "cuEventRecord");
        }
    }

    public CudaDevice Device { get; }

    public nint Handle { get; }

    public bool IsDone
    {
        get
        {
            Enter();
            var result = Device.Driver.EventQuery(Handle);
            return result == CudaDriver.Success || (result == CudaDriver.NotReady ? false : throw Device.Driver.Failure(result, "cuEventQuery"));
        }
    }

    public void Wait()
    {
        Enter();
        Device.Driver.Check(Device.Driver.EventSynchronize(Handle), "cuEventSynchronize");
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            Device.Enter();
            Device.Driver.Check(Device.Driver.EventDestroy(Handle), "cuEventDestroy");
        }
    }

    internal void Enter()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _isDisposed) != 0, this);
        Device.Enter();
    }
}
