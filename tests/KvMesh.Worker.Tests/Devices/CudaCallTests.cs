using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;
using KvMesh.Worker.Devices;
using KvMesh.Worker.Devices.Cuda;
using KvMesh.Worker.Devices.Pages;

namespace KvMesh.Worker.Tests.Devices;

/// <summary>The contract with every call of the CUDA device made for real, to a driver of memory that tests fill in.</summary>
public sealed class CudaCallTests : DeviceContract
{
    private const int SliceBytes = 16 << 20;

    public CudaCallTests() => MemoryDriver.Reset();

    [Fact]
    public void Everything_is_given_back()
    {
        using (var device = new CudaDevice(MemoryDriver.Create(), 0, SliceBytes))
        {
            _ = device.Allocate(100);
            using var memory = new MappedMemory(1 << 20, readOnly: true);
            using var stream = device.CreateStream();
            using var region = device.Register(memory.Start, 1 << 20, readOnly: true);
            var buffer = device.Allocate(1 << 20);
            stream.CopyToDevice(buffer, 0, memory.Start, 1 << 20);
            stream.WhenDone(_ => { });
            Assert.Equal("cuda:0 (memory for tests)", device.Name);
        }

        Assert.Equal(0, MemoryDriver.Left);
    }

    [Fact]
    public void A_read_only_arena_is_registered_slice_by_slice_when_it_is_copied_from()
    {
        using var memory = new MappedMemory(40 << 20, readOnly: true);
        using var stream = Device.CreateStream();
        using var region = Device.Register(memory.Start, 40 << 20, readOnly: true);
        var buffer = Device.Allocate(SliceBytes);

        stream.CopyToDevice(buffer, 0, memory.Start + SliceBytes, SliceBytes);
        Assert.Equal((1, 0x08u), MemoryDriver.Registrations);
        stream.CopyToDevice(buffer, 0, memory.Start + SliceBytes - 1, 2);
        Assert.Equal(2, MemoryDriver.Registrations.Most);
        Assert.True(region.IsDirect);
        Assert.Equal(0, Device.Traffic.BouncedBytes);
    }

    [Theory]
    [InlineData(false, 0, "does not register memory that is read-only")]
    [InlineData(true, 801, "801 (CUDA_ERROR_NOT_SUPPORTED)")]
    public void What_cannot_be_registered_goes_through_pinned_memory_and_says_why(bool registersReadOnly, int result, string reason)
    {
        const int Bytes = 14 << 20;
        (MemoryDriver.RegistersReadOnly, MemoryDriver.RegisterResult) = (registersReadOnly, result);
        using var memory = new MappedMemory(Bytes, readOnly: true);
        using var stream = Device.CreateStream();
        using var back = Device.AllocateHost(Bytes);
        using var region = Device.Register(memory.Start, Bytes, readOnly: true);
        var buffer = Device.Allocate(Bytes);

        stream.CopyToDevice(buffer, 0, memory.Start, Bytes);
        stream.CopyToHost(back.Start, buffer, 0, Bytes);
        stream.Synchronize();

        Assert.True(memory.Span.SequenceEqual(back.Span));
        Assert.Equal(Bytes, Device.Traffic.BouncedBytes);
        Assert.Contains(reason, region.Detour, StringComparison.Ordinal);
    }

    [Fact]
    public void An_error_names_call_code_and_name()
    {
        using var stream = Device.CreateStream();
        using var recorded = stream.Record();
        using var told = new ManualResetEventSlim();
        DeviceException? heard = null;
        MemoryDriver.EventResult = 700;
        stream.WhenDone(failure =>
        {
            heard = failure;
            told.Set();
        });

        Assert.Contains("cuEventSynchronize failed with 700 (CUDA_ERROR_ILLEGAL_ADDRESS)", Assert.Throws<DeviceException>(recorded.Wait).Message, StringComparison.Ordinal);
        Assert.Throws<DeviceException>(() => recorded.IsDone);
        Assert.Throws<DeviceException>(stream.Synchronize);
        Assert.True(told.Wait(Eventually.Patience));
        Assert.Equal(DeviceError.Driver, heard?.Error);
        MemoryDriver.EventResult = CudaDriver.NotReady;
        Assert.False(recorded.IsDone);
        MemoryDriver.EventResult = 0;
    }

    [Fact]
    public async Task Pages_of_a_GPU_go_out_to_the_host_and_come_in_from_it()
    {
        using var pool = new DevicePagePool(Device, 4096, 4, TimeProvider.System);
        var (hash, bytes, copy) = (new BlockHash(TestBytes.Hash(1, 1)), TestBytes.Payload(1, 4096), new byte[4096]);

        Assert.True(await pool.TryAddAsync(hash, BlockHash.Root, bytes, CancellationToken.None));
        Assert.True(await pool.CopyOutAsync(hash, copy, CancellationToken.None));
        Assert.Equal(bytes, copy);
        using var run = pool.TryTake([hash], 2)!;
        Assert.Equal(1, run.Shared);
        Assert.Throws<NotSupportedException>(() => run.Block(0).Length);
    }

    [Fact]
    public void A_device_that_is_not_there_is_named()
    {
        var failure = Assert.Throws<DeviceException>(() => new CudaDevice(MemoryDriver.Create(), 3));

        Assert.Equal(DeviceError.NoDevice, failure.Error);
        Assert.Contains("has 1 CUDA devices; number 3", failure.Message, StringComparison.Ordinal);
    }

    private protected override IDevice Create() => new CudaDevice(MemoryDriver.Create(), 0, SliceBytes);
}
