using System.Runtime.InteropServices;

namespace KvMesh.Worker.Devices.Cuda;

/// <summary>
/// A GPU of NVIDIA by the driver's own interface: the primary context of a device, its memory, streams and events, and two kernels that gather and
/// scatter pages. Every member makes the context current on the calling thread.
/// </summary>
public sealed unsafe class CudaDevice : IDevice
{
    /// <summary>Bytes that are registered at once: pinning takes time, and most of an arena may never be read by this process.</summary>
    private const long DefaultSliceBytes = 256L << 20;

    private readonly Lock _lock = new();
    private readonly HashSet<DeviceBuffer> _buffers = [];
    private readonly nint _context;
    private readonly int _device;
    private readonly bool _registersReadOnly;
    private readonly long _sliceBytes;
    private long _allocatedBytes;
    private bool _isDisposed;

    internal CudaDevice(CudaDriver driver, int ordinal, long sliceBytes = DefaultSliceBytes)
    {
        Driver = driver;
        _sliceBytes = sliceBytes;
        driver.Check(driver.Init(0), "cuInit");
        int count, device, registers;
        driver.Check(driver.DeviceGetCount(&count), "cuDeviceGetCount");
        if (ordinal >= count)
        {
            throw new DeviceException(DeviceError.NoDevice, $"This machine has {count} CUDA devices; number {ordinal}, counted from 0, was asked for.");
        }

        driver.Check(driver.DeviceGet(&device, ordinal), "cuDeviceGet");
        driver.Check(driver.DeviceGetAttribute(&registers, CudaDriver.ReadOnlyHostRegisterSupported, device), "cuDeviceGetAttribute");
        _device = device;
        _registersReadOnly = registers != 0;
        Name = $"cuda:{ordinal} ({NameOf(device)})";
        nint context;
        driver.Check(driver.PrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
        _context = context;
        try
        {
            Enter();
            Kernels = new PageKernels(driver);
        }
        catch
        {
            _ = driver.PrimaryCtxRelease(device);
            throw;
        }
    }

    public string Name { get; }

    public bool IsAddressable => false;

    public DeviceMemory Memory
    {
        get
        {
            Enter();
            nuint free, total;
            Driver.Check(Driver.MemGetInfo(&free, &total), "cuMemGetInfo");
            return new DeviceMemory((long)total, (long)free, Volatile.Read(ref _allocatedBytes));
        }
    }

    public DeviceTraffic Traffic => Counters.Traffic;

    internal CudaDriver Driver { get; }

    internal PageKernels Kernels { get; }

    internal HostRegions Regions { get; } = new();

    internal TrafficCounters Counters { get; } = new();

    /// <summary>Opens a device.</summary>
    /// <param name="ordinal">Its number as the driver counts, from 0; CUDA_VISIBLE_DEVICES has a say in it.</param>
    /// <exception cref="DeviceException">There is no driver, no such device, or it does not start.</exception>
    public static CudaDevice Open(int ordinal)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(ordinal);
        return new CudaDevice(CudaDriver.Load(), ordinal);
    }

    public DeviceBuffer Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        Enter();
        ulong address;
        var result = Driver.MemAlloc(&address, (nuint)bytes);
        if (result == CudaDriver.OutOfMemory)
        {
            var memory = Memory;
            throw new DeviceException(
                DeviceError.OutOfMemory, $"{bytes} bytes were asked of {Name}; of its {memory.TotalBytes} are {memory.FreeBytes} free.", Driver.Failure(result, "cuMemAlloc"));
        }

        Driver.Check(result, "cuMemAlloc");
        var buffer = new DeviceBuffer(this, address, bytes, Release);
        lock (_lock)
        {
            _buffers.Add(buffer);
            _allocatedBytes += bytes;
        }

        return buffer;
    }

    /// <inheritdoc/>
    /// <remarks>Waits for the work of all streams.</remarks>
    public void Free(DeviceBuffer buffer)
    {
        Enter();
        buffer.Free(this);
    }

    public HostBuffer AllocateHost(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        Enter();
        void* start;
        Driver.Check(Driver.MemHostAlloc(&start, (nuint)bytes, 0), "cuMemHostAlloc");
        Regions.Add(new PinnedRegion((nint)start, bytes));
        return new HostBuffer((nint)start, bytes, FreeHost);
    }

    public IHostRegion Register(nint start, long bytes, bool readOnly)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        Enter();
        var detour = readOnly && !_registersReadOnly ? $"{Name} does not register memory that is read-only."
            : start % Environment.SystemPageSize != 0 ? "The memory does not begin on a page."
            : null;
        var region = new SlicedRegion(this, start, bytes, readOnly, _sliceBytes, detour);
        Regions.Add(region);
        return region;
    }

    public IDeviceStream CreateStream()
    {
        Enter();
        return new CudaStream(this);
    }

    public void Dispose()
    {
        DeviceBuffer[] left;
        lock (_lock)
        {
            if (_isDisposed)
            {
                return;
            }

            left = [.. _buffers.Where(buffer => !buffer.IsFreed)];
        }

        Enter();
        foreach (var buffer in left)
        {
            buffer.Free(this);
        }

        Kernels.Unload();
        lock (_lock)
        {
            _isDisposed = true;
        }

        Driver.Check(Driver.PrimaryCtxRelease(_device), "cuDevicePrimaryCtxRelease");
    }

    /// <summary>Makes the context current on this thread.</summary>
    internal void Enter()
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        Driver.Check(Driver.CtxSetCurrent(_context), "cuCtxSetCurrent");
    }

    private void FreeHost(nint start)
    {
        Enter();
        Regions.Remove(start);
        Driver.Check(Driver.MemFreeHost((void*)start), "cuMemFreeHost");
    }

    private void Release(DeviceBuffer buffer)
    {
        lock (_lock)
        {
            _buffers.Remove(buffer);
            _allocatedBytes -= buffer.Bytes;
        }

        // Copies that were queued before still have it.
        Driver.Check(Driver.CtxSynchronize(), "cuCtxSynchronize");
        Driver.Check(Driver.MemFree(buffer.Address), "cuMemFree");
    }

    private string NameOf(int device)
    {
        const int MaxBytes = 256;
        var name = stackalloc byte[MaxBytes];
        Driver.Check(Driver.DeviceGetName(name, MaxBytes, device), "cuDeviceGetName");
        return Marshal.PtrToStringUTF8((nint)name)!;
    }
}
