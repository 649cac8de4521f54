using KvMesh.Worker.Devices;
using KvMesh.Worker.Devices.Host;

namespace KvMesh.Worker.Tests.Devices;

public sealed class HostDeviceTests : DeviceContract
{
    [Fact]
    public void Its_memory_is_read_where_it_is()
    {
        var buffer = Device.Allocate(64);
        buffer.Span(8, 8).Fill(3);
        using var stream = Device.CreateStream();
        using var host = Device.AllocateHost(64);
        stream.CopyToHost(host.Start, buffer, 0, 64);
        stream.Synchronize();

        Assert.True(Device.IsAddressable);
        Assert.Equal(3, host.Span[15]);
        Assert.Throws<DeviceException>(() => buffer.Span(60, 8).Length);
        Device.Free(buffer);
        Assert.Throws<DeviceException>(() => buffer.Span(0, 1).Length);
    }

    [Fact]
    public void Queueing_does_not_wait_for_the_work()
    {
        using var gate = new ManualResetEventSlim();
        using var stream = Device.CreateStream();
        using var host = Device.AllocateHost(64);
        var buffer = Device.Allocate(64);
        stream.WhenDone(_ => gate.Wait());
        stream.CopyToDevice(buffer, 0, host.Start, 64);
        using var copied = stream.Record();

        Assert.False(copied.IsDone);
        gate.Set();
        copied.Wait();
        Assert.True(copied.IsDone);
        Device.Free(buffer);
    }

    private protected override IDevice Create() => new HostDevice(512 << 20);
}
