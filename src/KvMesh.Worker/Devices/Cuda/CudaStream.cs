using System.Collections.Concurrent;

namespace KvMesh.Worker.Devices.Cuda;

/// <summary>
/// A stream of the driver. A thread of its own, started when first needed, waits for events and calls back: so a callback hears of failures too, which the
/// driver's own host functions do not, and may use the driver.
/// </summary>
internal sealed unsafe class CudaStream : IDeviceStream
{
    /// <summary>Callbacks that wait at most; whoever queues more waits too.</summary>
    private const int MaxQueued = 4096;

    private readonly CudaDevice _device;
    private readonly nint _handle;
    private readonly BlockingCollection<(CudaEvent Before, Action<DeviceException?> Done)> _callbacks = new(MaxQueued);
    private BounceRing? _bounce;
    private Thread? _caller;
    private int _isDisposed;

    public CudaStream(CudaDevice device)
    {
        _device = device;
        nint handle;
        device.Driver.Check(device.Driver.StreamCreate(&handle, CudaDriver.StreamNonBlocking), "cuStreamCreate");
        _handle = handle;
    }

    public IDevice Device => _device;

    private CudaDriver Driver => _device.Driver;

    public void CopyToDevice(DeviceBuffer target, long offset, nint source, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfZero(source);
        Enter();
        target.Check(_device, offset, bytes);
        _device.Counters.AddToDevice(bytes);
        var address = target.Address + (ulong)offset;
        var known = _device.Regions.Find(source, bytes);
        while (bytes > 0)
        {
            var direct = known?.DirectBytes(source, bytes) ?? 0;
            if (direct == 0)
            {
                _device.Counters.AddBounced(bytes);
                (_bounce ??= new BounceRing(this)).CopyToDevice(address, source, bytes);
                return;
            }

            CopyPinned(address, source, direct);
            (address, source, bytes) = (address + (ulong)direct, source + (nint)direct, bytes - direct);
        }
    }

    /// <inheritdoc/>
    /// <remarks>Into memory that the driver does not know, the driver copies before this returns.</remarks>
    public void CopyToHost(nint target, DeviceBuffer source, long offset, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfZero(target);
        Enter();
        source.Check(_device, offset, bytes);
        _device.Counters.AddToHost(bytes);
        if (bytes > 0)
        {
            Driver.Check(Driver.MemcpyDtoHAsync((void*)target, source.Address + (ulong)offset, (nuint)bytes, _handle), "cuMemcpyDtoHAsync");
        }
    }

    public void Copy(DeviceBuffer target, long targetOffset, DeviceBuffer source, long sourceOffset, long bytes)
    {
        Enter();
        target.Check(_device, targetOffset, bytes);
        source.Check(_device, sourceOffset, bytes);
        _device.Counters.AddWithin(bytes);
        if (bytes > 0)
        {
            Driver.Check(
                Driver.MemcpyDtoDAsync(target.Address + (ulong)targetOffset, source.Address + (ulong)sourceOffset, (nuint)bytes, _handle), "cuMemcpyDtoDAsync");
        }
    }

    public void Gather(DeviceBuffer target, long offset, DeviceBuffer pages, int pageBytes, ReadOnlySpan<int> indexes)
    {
        Enter();
        pages.CheckPages(_device, pageBytes, indexes);
        target.Check(_device, offset, (long)pageBytes * indexes.Length);
        _device.Counters.AddWithin((long)pageBytes * indexes.Length);
        _device.Kernels.Gather(_handle, target.Address + (ulong)offset, pages.Address, pageBytes, indexes);
    }

    public void Scatter(DeviceBuffer pages, int pageBytes, ReadOnlySpan<int> indexes, DeviceBuffer source, long offset)
    {
        Enter();
        pages.CheckPages(_device, pageBytes, indexes);
        source.Check(_device, offset, (long)pageBytes * indexes.Length);
        _device.Counters.AddWithin((long)pageBytes * indexes.Length);
        _device.Kernels.Scatter(_handle, source.Address + (ulong)offset, pages.Address, pageBytes, indexes);
    }

    public IDeviceEvent Record()
    {
        Enter();
        return new CudaEvent(_device, _handle);
    }

    public void WaitFor(IDeviceEvent awaited)
    {
        Enter();
        if (awaited is not CudaEvent own || !ReferenceEquals(own.Device, _device))
        {
            throw new DeviceException(DeviceError.OtherDevice, $"An event of another device was given to {_device.Name}.");
        }

        own.Enter();
        Driver.Check(Driver.StreamWaitEvent(_handle, own.Handle, 0), "cuStreamWaitEvent");
    }

    public void WhenDone(Action<DeviceException?> done)
    {
        Enter();
        if (_caller is null)
        {
            _caller = new Thread(CallBack) { IsBackground = true, Name = "kvmesh cuda stream" };
            _caller.Start();
        }

        _callbacks.Add((new CudaEvent(_device, _handle), done));
    }

    public void Synchronize()
    {
        Enter();
        Driver.Check(Driver.StreamSynchronize(_handle), "cuStreamSynchronize");
    }

    /// <summary>Waits for what was queued, and for the callbacks.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        _device.Enter();
        var result = Driver.StreamSynchronize(_handle);
        _callbacks.CompleteAdding();
        _caller?.Join();
        _callbacks.Dispose();
        _bounce?.Dispose();
        Driver.Check(Driver.StreamDestroy(_handle), "cuStreamDestroy");
        Driver.Check(result, "cuStreamSynchronize");
    }

    /// <summary>Copies from memory that the driver knows.</summary>
    internal void CopyPinned(ulong target, nint source, long bytes) =>
        Driver.Check(Driver.MemcpyHtoDAsync(target, (void*)source, (nuint)bytes, _handle), "cuMemcpyHtoDAsync");

    private void Enter()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _isDisposed) != 0, this);
        _device.Enter();
    }

    private void CallBack()
    {
        foreach (var (before, done) in _callbacks.GetConsumingEnumerable())
        {
            DeviceException? failure = null;
            try
            {
                before.Wait();
            }
            catch (DeviceException error)
            {
                failure = error;
            }

            done(failure);
            before.Dispose();
        }
    }
}
