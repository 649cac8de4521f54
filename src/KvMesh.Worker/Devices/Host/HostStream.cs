using System.Collections.Concurrent;

namespace KvMesh.Worker.Devices.Host;

/// <summary>A queue of copies and the thread that makes them.</summary>
internal sealed unsafe class HostStream : IDeviceStream
{
    /// <summary>Work that waits at most; whoever queues more waits too.</summary>
    private const int MaxQueued = 4096;

    private readonly HostDevice _device;
    private readonly BlockingCollection<Action> _queue = new(MaxQueued);
    private readonly Thread _thread;
    private int _isDisposed;

    public HostStream(HostDevice device)
    {
        _device = device;
        _thread = new Thread(Run) { IsBackground = true, Name = "kvmesh host stream" };
        _thread.Start();
    }

    public IDevice Device => _device;

    public void CopyToDevice(DeviceBuffer target, long offset, nint source, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfZero(source);
        target.Check(_device, offset, bytes);
        _device.Counters.AddToDevice(bytes);
        Add(() => Move(target, offset, source, bytes), target);

        static void Move(DeviceBuffer target, long offset, nint source, long bytes) =>
            Buffer.MemoryCopy((void*)source, (byte*)target.Address + offset, bytes, bytes);
    }

    public void CopyToHost(nint target, DeviceBuffer source, long offset, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfZero(target);
        source.Check(_device, offset, bytes);
        _device.Counters.AddToHost(bytes);
        Add(() => Move(target, source, offset, bytes), source);

        static void Move(nint target, DeviceBuffer source, long offset, long bytes) =>
            Buffer.MemoryCopy((byte*)source.Address + offset, (void*)target, bytes, bytes);
    }

    public void Copy(DeviceBuffer target, long targetOffset, DeviceBuffer source, long sourceOffset, long bytes)
    {
        target.Check(_device, targetOffset, bytes);
        source.Check(_device, sourceOffset, bytes);
        _device.Counters.AddWithin(bytes);
        Add(() => Move(target, targetOffset, source, sourceOffset, bytes), target, source);
    }

    public void Gather(DeviceBuffer target, long offset, DeviceBuffer pages, int pageBytes, ReadOnlySpan<int> indexes)
    {
        pages.CheckPages(_device, pageBytes, indexes);
        target.Check(_device, offset, (long)pageBytes * indexes.Length);
        _device.Counters.AddWithin((long)pageBytes * indexes.Length);
        var wanted = indexes.ToArray();
        Add(Move, target, pages);

        void Move()
        {
            for (var place = 0; place < wanted.Length; place++)
            {
                HostStream.Move(target, offset + ((long)place * pageBytes), pages, (long)wanted[place] * pageBytes, pageBytes);
            }
        }
    }

    public void Scatter(DeviceBuffer pages, int pageBytes, ReadOnlySpan<int> indexes, DeviceBuffer source, long offset)
    {
        pages.CheckPages(_device, pageBytes, indexes);
        source.Check(_device, offset, (long)pageBytes * indexes.Length);
        _device.Counters.AddWithin((long)pageBytes * indexes.Length);
        var wanted = indexes.ToArray();
        Add(Move, source, pages);

        void Move()
        {
            for (var place = 0; place < wanted.Length; place++)
            {
                HostStream.Move(pages, (long)wanted[place] * pageBytes, source, offset + ((long)place * pageBytes), pageBytes);
            }
        }
    }

    public IDeviceEvent Record()
    {
        var recorded = new HostEvent(_device);
        Add(recorded.Set);
        return recorded;
    }

    public void WaitFor(IDeviceEvent awaited)
    {
        if (awaited is not HostEvent own || !ReferenceEquals(own.Device, _device))
        {
            throw new DeviceException(DeviceError.OtherDevice, $"An event of another device was given to {_device.Name}.");
        }

        var whenDone = own.Whenever;
        Add(whenDone.Wait);
    }

    public void WhenDone(Action<DeviceException?> done) => Add(() => done(null));

    public void Synchronize()
    {
        using var end = Record();
        end.Wait();
    }

    /// <summary>Waits for what was queued, and ends the thread.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            _queue.CompleteAdding();
            _thread.Join();
            _queue.Dispose();
        }
    }

    private static void Move(DeviceBuffer target, long targetOffset, DeviceBuffer source, long sourceOffset, long bytes) =>
        Buffer.MemoryCopy((byte*)source.Address + sourceOffset, (byte*)target.Address + targetOffset, bytes, bytes);

    private void Add(Action work, params ReadOnlySpan<DeviceBuffer> buffers)
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _isDisposed) != 0, this);
        if (buffers.Length == 0)
        {
            _queue.Add(work);
            return;
        }

        var held = buffers.ToArray();
        Array.ForEach(held, static buffer => buffer.Hold());
        _queue.Add(() =>
        {
            work();
            Array.ForEach(held, static buffer => buffer.LetGo());
        });
    }

    private void Run()
    {
        foreach (var work in _queue.GetConsumingEnumerable())
        {
            work();
        }
    }
}
