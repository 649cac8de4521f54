namespace KvMesh.Worker.Devices;

/// <summary>
/// Work of a device in the order in which it was queued. One thread at a time queues; any thread waits. Members return before the work is done, unless the
/// queue is full. Arguments are checked at once; what fails later ends the stream, and each wait says why.
/// </summary>
public interface IDeviceStream : IDisposable
{
    IDevice Device { get; }

    /// <summary>Copies to the device. The source must stay as it is until an event recorded behind the copy is done.</summary>
    void CopyToDevice(DeviceBuffer target, long offset, nint source, long bytes);

    /// <summary>Copies from the device. Nobody may read the target before an event recorded behind the copy is done.</summary>
    void CopyToHost(nint target, DeviceBuffer source, long offset, long bytes);

    /// <summary>Copies within the device; the ranges do not overlap.</summary>
    void Copy(DeviceBuffer target, long targetOffset, DeviceBuffer source, long sourceOffset, long bytes);

    /// <summary>Copies pages that lie anywhere in a buffer one behind the other.</summary>
    /// <param name="target">Where they go.</param>
    /// <param name="offset">First byte there.</param>
    /// <param name="pages">Buffer of pages.</param>
    /// <param name="pageBytes">Bytes of a page.</param>
    /// <param name="indexes">Pages, in the order in which they are wanted.</param>
    void Gather(DeviceBuffer target, long offset, DeviceBuffer pages, int pageBytes, ReadOnlySpan<int> indexes);

    /// <summary>The reverse: each page goes to its place. No page is named twice.</summary>
    void Scatter(DeviceBuffer pages, int pageBytes, ReadOnlySpan<int> indexes, DeviceBuffer source, long offset);

    /// <summary>An event that is done when all that was queued before is. The caller disposes it.</summary>
    IDeviceEvent Record();

    /// <summary>What is queued from now on begins when the event, of this or another stream of the device, is done.</summary>
    void WaitFor(IDeviceEvent awaited);

    /// <summary>
    /// Calls when all that was queued before is done, in order, from a thread that belongs to the stream; with the error if it failed. The callback is short,
    /// does not throw, and neither waits for the stream nor queues.
    /// </summary>
    void WhenDone(Action<DeviceException?> done);

    /// <summary>Returns when all that was queued is done.</summary>
    /// <exception cref="DeviceException">Something failed.</exception>
    void Synchronize();
}

/// <summary>A point in a stream.</summary>
public interface IDeviceEvent : IDisposable
{
    /// <summary>Whether all that was queued before it is done.</summary>
    /// <exception cref="DeviceException">Something failed.</exception>
    bool IsDone { get; }

    /// <summary>Returns when it is.</summary>
    /// <exception cref="DeviceException">Something failed.</exception>
    void Wait();
}
