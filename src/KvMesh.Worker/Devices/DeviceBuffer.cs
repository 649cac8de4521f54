namespace KvMesh.Worker.Devices;

/// <summary>
/// Memory of a device. Work in a stream holds it, so that freeing never takes it from under a copy. What frees it for good is called once, by whoever lets go last.
/// </summary>
public sealed unsafe class DeviceBuffer
{
    private readonly Action<DeviceBuffer> _release;
    private readonly bool _isAddressable;

    // Holds; the owner's is one of them.
    private int _holds = 1;
    private int _isFreed;

    internal DeviceBuffer(IDevice device, ulong address, long bytes, Action<DeviceBuffer> release)
    {
        Device = device;
        Address = address;
        Bytes = bytes;
        _release = release;
        _isAddressable = device.IsAddressable;
    }

    public IDevice Device { get; }

    public long Bytes { get; }

    public bool IsFreed => Volatile.Read(ref _isFreed) != 0;

    /// <summary>Address in the device's memory.</summary>
    internal ulong Address { get; }

    /// <summary>Bytes of it, where the processor reads the device's memory. Not while a copy writes them, and not after it was freed.</summary>
    /// <exception cref="NotSupportedException">The processor does not.</exception>
    /// <exception cref="DeviceException">They leave the buffer, or it was freed.</exception>
    public Span<byte> Span(long offset, int count)
    {
        if (!_isAddressable)
        {
            throw new NotSupportedException($"The processor does not read the memory of {Device.Name}; copy it.");
        }

        Check(Device, offset, count);
        return new Span<byte>((byte*)Address + offset, count);
    }

    /// <summary>Refuses a range that cannot be copied.</summary>
    internal void Check(IDevice device, long offset, long bytes)
    {
        if (!ReferenceEquals(device, Device))
        {
            throw new DeviceException(DeviceError.OtherDevice, $"A buffer of {Device.Name} was given to {device.Name}.");
        }

        if (IsFreed)
        {
            throw new DeviceException(DeviceError.Freed, $"A buffer of {Bytes} bytes of {Device.Name} was used after it was freed.");
        }

        if (offset < 0 || bytes < 0 || bytes > Bytes - offset)
        {
            throw new DeviceException(DeviceError.OutOfBounds, $"{bytes} bytes at {offset} leave a buffer of {Bytes} bytes of {Device.Name}.");
        }
    }

    /// <summary>Refuses pages that are not in the buffer.</summary>
    internal void CheckPages(IDevice device, int pageBytes, ReadOnlySpan<int> indexes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(pageBytes);
        Check(device, 0, 0);
        var pages = Bytes / pageBytes;
        foreach (var index in indexes)
        {
            if (index < 0 || index >= pages)
            {
                throw new DeviceException(DeviceError.OutOfBounds, $"Page {index} is not among the {pages} pages of {pageBytes} bytes of a buffer of {Device.Name}.");
            }
        }
    }

    /// <summary>Keeps the memory until <see cref="LetGo"/>.</summary>
    /// <exception cref="DeviceException">It was freed at this moment.</exception>
    internal void Hold()
    {
        while (true)
        {
            var holds = Volatile.Read(ref _holds);
            if (holds == 0)
            {
                throw new DeviceException(DeviceError.Freed, $"A buffer of {Bytes} bytes of {Device.Name} was used after it was freed.");
            }

            if (Interlocked.CompareExchange(ref _holds, holds + 1, holds) == holds)
            {
                return;
            }
        }
    }

    internal void LetGo()
    {
        if (Interlocked.Decrement(ref _holds) == 0)
        {
            _release(this);
        }
    }

    /// <summary>Ends the owner's hold.</summary>
    internal void Free(IDevice device)
    {
        Check(device, 0, 0);
        if (Interlocked.Exchange(ref _isFreed, 1) != 0)
        {
            throw new DeviceException(DeviceError.Freed, $"A buffer of {Bytes} bytes of {Device.Name} was freed twice.");
        }

        LetGo();
    }
}
