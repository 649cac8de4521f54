using System.Runtime.InteropServices;

namespace KvMesh.Worker.Devices.Host;

/// <summary>
/// A device of plain memory, apart from the arena, for machines without another: what is written for a device runs on it unchanged. Its streams are
/// queues with threads of their own, so copies really are asynchronous. The kernel gives the memory when it is first touched.
/// </summary>
public sealed unsafe class HostDevice : IDevice
{
    private const int Alignment = 256;

    private readonly Lock _lock = new();
    private readonly HashSet<DeviceBuffer> _buffers = [];
    private long _allocatedBytes;
    private bool _isDisposed;

    /// <param name="capacityBytes">Most bytes of all buffers together.</param>
    public HostDevice(long capacityBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacityBytes);
        CapacityBytes = capacityBytes;
    }

    public long CapacityBytes { get; }

    public string Name => "host";

    public bool IsAddressable => true;

    public DeviceMemory Memory
    {
        get
        {
            lock (_lock)
            {
                return new DeviceMemory(CapacityBytes, CapacityBytes - _allocatedBytes, _allocatedBytes);
            }
        }
    }

    public DeviceTraffic Traffic => Counters.Traffic;

    internal TrafficCounters Counters { get; } = new();

    public DeviceBuffer Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (bytes > CapacityBytes - _allocatedBytes)
            {
                throw new DeviceException(
                    DeviceError.OutOfMemory, $"{bytes} bytes were asked of the host device; of its {CapacityBytes} are {CapacityBytes - _allocatedBytes} free.");
            }

            var buffer = new DeviceBuffer(this, (ulong)NativeMemory.AlignedAlloc((nuint)bytes, Alignment), bytes, Release);
            _buffers.Add(buffer);
            _allocatedBytes += bytes;
            return buffer;
        }
    }

    public void Free(DeviceBuffer buffer)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        buffer.Free(this);
    }

    public HostBuffer AllocateHost(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        return new HostBuffer((nint)NativeMemory.AlignedAlloc((nuint)bytes, Alignment), bytes, static start => NativeMemory.AlignedFree((void*)start));
    }

    public IHostRegion Register(nint start, long bytes, bool readOnly)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        return new Region();
    }

    public IDeviceStream CreateStream()
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        return new HostStream(this);
    }

    /// <summary>Frees what was not freed, as soon as no copy uses it any more.</summary>
    public void Dispose()
    {
        DeviceBuffer[] left;
        lock (_lock)
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
            left = [.. _buffers.Where(buffer => !buffer.IsFreed)];
        }

        foreach (var buffer in left)
        {
            buffer.Free(this);
        }
    }

    private void Release(DeviceBuffer buffer)
    {
        lock (_lock)
        {
            _buffers.Remove(buffer);
            _allocatedBytes -= buffer.Bytes;
        }

        NativeMemory.AlignedFree((void*)buffer.Address);
    }

    /// <summary>The processor reads everything there is.</summary>
    private sealed class Region : IHostRegion
    {
        public bool IsDirect => true;

        public string? Detour => null;

        public void Dispose()
        {
        }
    }
}
