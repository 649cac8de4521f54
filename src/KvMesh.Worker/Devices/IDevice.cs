namespace KvMesh.Worker.Devices;

/// <summary>
/// Memory that belongs to a processor of tensors, apart from the arena of a node. Threads may share it. Dispose streams and events first, then the
/// device; buffers that were not freed end with it.
/// </summary>
/// <remarks>
/// What a caller does wrong (a copy out of bounds, a buffer freed twice, one of another device) and what a driver does wrong is a
/// <see cref="DeviceException"/>; use after disposal is an <see cref="ObjectDisposedException"/>.
/// </remarks>
public interface IDevice : IDisposable
{
    /// <summary>As a log shows it: "host", or "cuda:0 (NVIDIA H200)".</summary>
    string Name { get; }

    /// <summary>Whether the processor reads and writes the memory where it is, so that <see cref="DeviceBuffer.Span"/> may be used.</summary>
    bool IsAddressable { get; }

    /// <summary>Memory of the device, at this moment.</summary>
    DeviceMemory Memory { get; }

    /// <summary>What was copied so far.</summary>
    DeviceTraffic Traffic { get; }

    /// <summary>Takes memory; its bytes are undefined.</summary>
    /// <param name="bytes">At least 1.</param>
    /// <exception cref="DeviceException">There is none left (<see cref="DeviceError.OutOfMemory"/>).</exception>
    DeviceBuffer Allocate(long bytes);

    /// <summary>Gives memory back. Copies that were queued before still have it.</summary>
    /// <exception cref="DeviceException">It was freed before, or is of another device.</exception>
    void Free(DeviceBuffer buffer);

    /// <summary>Host memory that the device copies from and to at full speed and without the processor.</summary>
    HostBuffer AllocateHost(int bytes);

    /// <summary>
    /// Prepares memory that another process may own, as a mapped arena, for direct copies to the device. Slices of it are registered with the driver as
    /// they are first copied from. Where the device cannot do that, copies go through memory that it can read.
    /// </summary>
    /// <param name="start">First byte. It must stay mapped until the registration is disposed.</param>
    /// <param name="bytes">Bytes.</param>
    /// <param name="readOnly">Whether this process may not write there.</param>
    IHostRegion Register(nint start, long bytes, bool readOnly);

    /// <summary>An ordered queue of work.</summary>
    IDeviceStream CreateStream();
}

/// <summary>Host memory that was registered with a device. Disposing waits for copies out of it.</summary>
public interface IHostRegion : IDisposable
{
    /// <summary>Whether the device itself reads it; false: copies go through memory of the device's driver.</summary>
    bool IsDirect { get; }

    /// <summary>Why it does not; null: it does.</summary>
    string? Detour { get; }
}

/// <summary>Bytes of a device's memory.</summary>
/// <param name="TotalBytes">What there is.</param>
/// <param name="FreeBytes">What nobody has, other processes included.</param>
/// <param name="AllocatedBytes">What buffers of this process's device object have.</param>
public readonly record struct DeviceMemory(long TotalBytes, long FreeBytes, long AllocatedBytes);

/// <summary>Bytes copied since the device was opened, counted when they are queued.</summary>
/// <param name="ToDeviceBytes">From the host to the device.</param>
/// <param name="ToHostBytes">From the device to the host.</param>
/// <param name="WithinBytes">Gathered, scattered and copied within the device.</param>
/// <param name="BouncedBytes">Of those to the device, the ones that went through pinned memory because the device cannot read where they were.</param>
public readonly record struct DeviceTraffic(long ToDeviceBytes, long ToHostBytes, long WithinBytes, long BouncedBytes);
