using KvMesh.TestKit;
using KvMesh.Worker.Devices;

namespace KvMesh.Worker.Tests.Devices;

/// <summary>What every device promises, on whatever memory it is.</summary>
public abstract class DeviceContract : IDisposable
{
    private const int PageBytes = 4096;

    private readonly Lazy<IDevice> _device;

    protected DeviceContract() => _device = new(Create);

    private protected IDevice Device => _device.Value;

    [Fact]
    public void Copies_to_the_device_and_back()
    {
        using var stream = Device.CreateStream();
        using var source = Device.AllocateHost(100_000);
        using var target = Device.AllocateHost(100_000);
        new Random(1).NextBytes(source.Span);
        var buffer = Device.Allocate(120_000);

        stream.CopyToDevice(buffer, 17, source.Start, 100_000);
        stream.CopyToHost(target.Start, buffer, 17, 100_000);
        stream.Synchronize();

        Assert.True(source.Span.SequenceEqual(target.Span));
        Assert.Equal((100_000, 100_000), (Device.Traffic.ToDeviceBytes, Device.Traffic.ToHostBytes));
        Device.Free(buffer);
    }

    [Fact]
    public unsafe void Copies_memory_that_nobody_prepared()
    {
        const int Bytes = 9 << 20;
        var source = TestBytes.Payload(5, Bytes);
        var target = new byte[Bytes];
        using var stream = Device.CreateStream();
        var buffer = Device.Allocate(Bytes);
        fixed (byte* from = source, to = target)
        {
            stream.CopyToDevice(buffer, 0, (nint)from, Bytes);
            stream.CopyToHost((nint)to, buffer, 0, Bytes);
            stream.Synchronize();
        }

        Assert.True(source.AsSpan().SequenceEqual(target));
        Device.Free(buffer);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Copies_out_of_registered_memory_across_its_slices(bool readOnly)
    {
        const int Bytes = 40 << 20;
        using var memory = new MappedMemory(Bytes, readOnly);
        using var stream = Device.CreateStream();
        using var back = Device.AllocateHost(Bytes);
        var buffer = Device.Allocate(Bytes);
        using (var region = Device.Register(memory.Start, Bytes, readOnly))
        {
            stream.CopyToDevice(buffer, 0, memory.Start + 5, Bytes - 5);
            stream.CopyToHost(back.Start, buffer, 0, Bytes - 5);
            stream.Synchronize();

            Assert.True(memory.Span[5..].SequenceEqual(back.Span[..^5]));
            Assert.Equal(region.IsDirect ? 0 : Bytes - 5, Device.Traffic.BouncedBytes);
        }

        Device.Free(buffer);
    }

    [Fact]
    public void Memory_can_be_registered_again_when_it_was_given_up()
    {
        using var memory = new MappedMemory(1 << 20, readOnly: true);
        using var stream = Device.CreateStream();
        var buffer = Device.Allocate(1 << 20);
        for (var round = 0; round < 3; round++)
        {
            using var region = Device.Register(memory.Start, 1 << 20, readOnly: true);
            stream.CopyToDevice(buffer, 0, memory.Start, 1 << 20);
        }

        stream.Synchronize();
        Device.Free(buffer);
    }

    [Theory]
    [InlineData(PageBytes, 0)]
    [InlineData(PageBytes, 7)]
    [InlineData(1000, 0)]
    [InlineData(13, 1)]
    public void Gathers_and_scatters_pages(int pageBytes, int offset)
    {
        const int Pages = 700;
        using var stream = Device.CreateStream();
        using var host = Device.AllocateHost(Pages * pageBytes);
        using var back = Device.AllocateHost(Pages * pageBytes);
        new Random(3).NextBytes(host.Span);
        var pages = Device.Allocate((long)Pages * pageBytes);
        var flat = Device.Allocate(((long)Pages * pageBytes) + offset);
        var wanted = Enumerable.Range(0, Pages).ToArray();
        new Random(4).Shuffle(wanted);
        wanted = wanted[..650];

        stream.CopyToDevice(pages, 0, host.Start, host.Bytes);
        stream.Gather(flat, offset, pages, pageBytes, wanted);
        stream.CopyToHost(back.Start, flat, offset, wanted.Length * pageBytes);
        stream.Synchronize();
        for (var place = 0; place < wanted.Length; place++)
        {
            Assert.True(host.Span.Slice(wanted[place] * pageBytes, pageBytes).SequenceEqual(back.Span.Slice(place * pageBytes, pageBytes)), $"page {place}");
        }

        Array.Reverse(wanted);
        stream.Scatter(pages, pageBytes, wanted, flat, offset);
        stream.CopyToHost(host.Start, pages, 0, host.Bytes);
        stream.Synchronize();
        for (var place = 0; place < wanted.Length; place++)
        {
            Assert.True(host.Span.Slice(wanted[place] * pageBytes, pageBytes).SequenceEqual(back.Span.Slice(place * pageBytes, pageBytes)), $"page {place}");
        }

        Device.Free(pages);
        Device.Free(flat);
    }

    [Fact]
    public void Work_of_a_stream_is_done_in_order()
    {
        using var stream = Device.CreateStream();
        using var host = Device.AllocateHost(64 * 4);
        using var back = Device.AllocateHost(4);
        var buffer = Device.Allocate(4);
        var seen = new List<int>();
        for (var step = 0; step < 64; step++)
        {
            host.Span.Slice(step * 4, 4).Fill((byte)step);
            stream.CopyToDevice(buffer, 0, host.Start + (step * 4), 4);
            var number = step;
            stream.WhenDone(failure =>
            {
                Assert.Null(failure);
                seen.Add(number);
            });
        }

        stream.CopyToHost(back.Start, buffer, 0, 4);
        using var told = new ManualResetEventSlim();
        stream.WhenDone(_ => told.Set());
        stream.Synchronize();

        Assert.True(told.Wait(Eventually.Patience));
        Assert.Equal(Enumerable.Range(0, 64), seen);
        Assert.Equal(63, back.Span[3]);
        Device.Free(buffer);
    }

    [Fact]
    public void A_stream_waits_for_an_event_of_another()
    {
        using var first = Device.CreateStream();
        using var second = Device.CreateStream();
        using var host = Device.AllocateHost(8 << 20);
        using var back = Device.AllocateHost(8 << 20);
        var buffer = Device.Allocate(8 << 20);
        for (var round = 1; round <= 20; round++)
        {
            host.Span.Fill((byte)round);
            first.CopyToDevice(buffer, 0, host.Start, host.Bytes);
            using var copied = first.Record();
            second.WaitFor(copied);
            second.CopyToHost(back.Start, buffer, 0, back.Bytes);
            second.Synchronize();

            Assert.True(copied.IsDone);
            Assert.Equal(-1, back.Span.IndexOfAnyExcept((byte)round));
        }

        Device.Free(buffer);
    }

    [Fact]
    public void An_event_is_done_when_what_was_queued_before_it_is()
    {
        using var stream = Device.CreateStream();
        using var host = Device.AllocateHost(16);
        var buffer = Device.Allocate(16);
        stream.CopyToDevice(buffer, 0, host.Start, 16);
        using var recorded = stream.Record();

        recorded.Wait();

        Assert.True(recorded.IsDone);
        Device.Free(buffer);
    }

    [Fact]
    public void Memory_is_counted_and_its_end_is_an_error()
    {
        var before = Device.Memory;
        var buffer = Device.Allocate(1 << 20);

        Assert.Equal(before.AllocatedBytes + (1 << 20), Device.Memory.AllocatedBytes);
        Assert.InRange(Device.Memory.FreeBytes, 0, Device.Memory.TotalBytes);
        var failure = Assert.Throws<DeviceException>(() => Device.Allocate(Device.Memory.TotalBytes + 1));
        Assert.Equal(DeviceError.OutOfMemory, failure.Error);
        Assert.Contains((Device.Memory.TotalBytes + 1).ToString(), failure.Message, StringComparison.Ordinal);
        Device.Free(buffer);
        Assert.Equal(before.AllocatedBytes, Device.Memory.AllocatedBytes);
    }

    [Fact]
    public void Freeing_twice_is_an_error_that_says_so()
    {
        var buffer = Device.Allocate(64);
        Device.Free(buffer);

        Assert.Equal(DeviceError.Freed, Assert.Throws<DeviceException>(() => Device.Free(buffer)).Error);
        using var stream = Device.CreateStream();
        using var host = Device.AllocateHost(64);
        Assert.Equal(DeviceError.Freed, Assert.Throws<DeviceException>(() => stream.CopyToDevice(buffer, 0, host.Start, 64)).Error);
    }

    [Fact]
    public void Freeing_does_not_take_memory_from_under_a_copy()
    {
        using var stream = Device.CreateStream();
        using var host = Device.AllocateHost(4 << 20);
        using var back = Device.AllocateHost(4 << 20);
        host.Span.Fill(7);
        for (var round = 0; round < 10; round++)
        {
            var buffer = Device.Allocate(4 << 20);
            stream.CopyToDevice(buffer, 0, host.Start, host.Bytes);
            stream.CopyToHost(back.Start, buffer, 0, back.Bytes);
            Device.Free(buffer);
        }

        stream.Synchronize();
        Assert.Equal(-1, back.Span.IndexOfAnyExcept((byte)7));
    }

    [Fact]
    public void Copies_that_leave_their_buffer_are_refused()
    {
        using var stream = Device.CreateStream();
        using var host = Device.AllocateHost(256);
        var buffer = Device.Allocate(128);
        var other = Device.Allocate(256);
        int[] pages = [0, 2];

        AssertOut(() => stream.CopyToDevice(buffer, 1, host.Start, 128));
        AssertOut(() => stream.CopyToDevice(buffer, -1, host.Start, 1));
        AssertOut(() => stream.CopyToDevice(buffer, long.MaxValue, host.Start, 2));
        AssertOut(() => stream.CopyToHost(host.Start, buffer, 0, 129));
        AssertOut(() => stream.Copy(other, 200, buffer, 0, 128));
        AssertOut(() => stream.Copy(other, 0, buffer, 64, 128));
        AssertOut(() => stream.Gather(other, 0, buffer, 64, pages));
        AssertOut(() => stream.Gather(other, 129, buffer, 64, [0, 1]));
        AssertOut(() => stream.Scatter(buffer, 64, [-1], other, 0));
        stream.Synchronize();
        Device.Free(buffer);
        Device.Free(other);

        static void AssertOut(Action copy) => Assert.Equal(DeviceError.OutOfBounds, Assert.Throws<DeviceException>(copy).Error);
    }

    [Fact]
    public void Buffers_and_events_of_another_device_are_refused()
    {
        using var stranger = new KvMesh.Worker.Devices.Host.HostDevice(1 << 20);
        using var stream = Device.CreateStream();
        using var foreign = stranger.CreateStream();
        using var recorded = foreign.Record();
        var buffer = stranger.Allocate(16);

        Assert.Equal(DeviceError.OtherDevice, Assert.Throws<DeviceException>(() => Device.Free(buffer)).Error);
        Assert.Equal(DeviceError.OtherDevice, Assert.Throws<DeviceException>(() => stream.Copy(buffer, 0, buffer, 8, 8)).Error);
        Assert.Equal(DeviceError.OtherDevice, Assert.Throws<DeviceException>(() => stream.WaitFor(recorded)).Error);
    }

    [Fact]
    public void Use_after_disposal_is_an_error()
    {
        var stream = Device.CreateStream();
        var recorded = stream.Record();
        stream.Dispose();
        stream.Dispose();
        recorded.Wait();
        recorded.Dispose();

        Assert.Throws<ObjectDisposedException>(() => stream.Record());
        Assert.Throws<ObjectDisposedException>(() => recorded.IsDone);
        Device.Dispose();
        Device.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Device.Allocate(1));
        Assert.Throws<ObjectDisposedException>(() => Device.CreateStream());
        Assert.Throws<ObjectDisposedException>(() => Device.AllocateHost(1));
    }

    [Fact]
    public void Threads_share_a_device_with_a_stream_each()
    {
        Threaded(4, thread =>
        {
            using var stream = Device.CreateStream();
            using var host = Device.AllocateHost(64 << 10);
            using var back = Device.AllocateHost(64 << 10);
            for (var round = 0; round < 50; round++)
            {
                var buffer = Device.Allocate(64 << 10);
                host.Span.Fill((byte)(thread + round));
                stream.CopyToDevice(buffer, 0, host.Start, host.Bytes);
                stream.CopyToHost(back.Start, buffer, 0, back.Bytes);
                stream.Synchronize();
                Assert.Equal(-1, back.Span.IndexOfAnyExcept((byte)(thread + round)));
                Device.Free(buffer);
            }
        });
        Assert.Equal(0, Device.Memory.AllocatedBytes);
    }

    [Fact]
    public void Measures_its_bandwidth()
    {
        var measured = DeviceBandwidth.Measure(Device, 1 << 20, 2);

        Assert.All([measured.ToDeviceBytes, measured.ToHostBytes, measured.WithinBytes], bytes => Assert.InRange(bytes, 1, double.MaxValue));
        Assert.Equal(0, Device.Memory.AllocatedBytes);
    }

    public void Dispose()
    {
        if (_device.IsValueCreated)
        {
            _device.Value.Dispose();
        }

        GC.SuppressFinalize(this);
    }

    private protected abstract IDevice Create();

    private static void Threaded(int count, Action<int> work)
    {
        var failures = new System.Collections.Concurrent.ConcurrentQueue<Exception>();
        var threads = Enumerable.Range(0, count).Select(number => new Thread(() =>
        {
            try
            {
                work(number);
            }
            catch (Exception failure)
            {
                failures.Enqueue(failure);
            }
        })).ToArray();
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Assert.Empty(failures);
    }
}
