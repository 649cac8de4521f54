namespace KvMesh.Worker.Devices.Cuda;

/// <summary>
/// A mapped arena, registered with the driver slice by slice, each when it is first copied from. A copy goes direct within a slice: the driver refuses one that
/// runs over several registrations. What cannot be registered takes the detour, all of it from then on.
/// </summary>
internal sealed unsafe class SlicedRegion : IKnownMemory, IHostRegion
{
    private readonly Lock _lock = new();
    private readonly CudaDevice _device;
    private readonly bool _isReadOnly;
    private readonly long _sliceBytes;
    private readonly bool[] _isRegistered;
    private string? _detour;
    private bool _isDisposed;

    public SlicedRegion(CudaDevice device, nint start, long bytes, bool isReadOnly, long sliceBytes, string? detour)
    {
        _device = device;
        Start = start;
        Bytes = bytes;
        _isReadOnly = isReadOnly;
        _sliceBytes = sliceBytes;
        _detour = detour;
        _isRegistered = new bool[(bytes + sliceBytes - 1) / sliceBytes];
    }

    public nint Start { get; }

    public long Bytes { get; }

    public bool IsDirect => Detour is null;

    public string? Detour => Volatile.Read(ref _detour);

    public long DirectBytes(nint start, long bytes)
    {
        var offset = (long)(start - Start);
        var slice = offset / _sliceBytes;
        lock (_lock)
        {
            if (_isDisposed || _detour is not null || !TryRegister_NeedsLock(slice))
            {
                return 0;
            }
        }

        return Math.Min(bytes, ((slice + 1) * _sliceBytes) - offset);
    }

    /// <summary>Waits for all streams, since one may copy from here.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
        }

        _device.Regions.Remove(Start);
        _device.Enter();
        var driver = _device.Driver;
        driver.Check(driver.CtxSynchronize(), "cuCtxSynchronize");
        for (var slice = 0; slice < _isRegistered.Length; slice++)
        {
            if (_isRegistered[slice])
            {
                driver.Check(driver.MemHostUnregister((void*)(Start + (nint)(slice * _sliceBytes))), "cuMemHostUnregister");
            }
        }
    }

    private bool TryRegister_NeedsLock(long slice)
    {
        if (_isRegistered[slice])
        {
            return true;
        }

        var first = slice * _sliceBytes;
        var bytes = Math.Min(_sliceBytes, Bytes - first);
        var result = _device.Driver.MemHostRegister((void*)(Start + (nint)first), (nuint)bytes, _isReadOnly ? CudaDriver.HostRegisterReadOnly : 0);
        if (result != CudaDriver.Success)
        {
            // Memory that may not be locked, say: the bytes can be read all the same.
            Volatile.Write(ref _detour, _device.Driver.Failure(result, $"cuMemHostRegister of {bytes} bytes").Message);
            return false;
        }

        return _isRegistered[slice] = true;
    }
}
