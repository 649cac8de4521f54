using KvMesh.Client;
using KvMesh.Client.Tests;
using KvMesh.TestKit;
using KvMesh.Worker.Devices;
using KvMesh.Worker.Devices.Host;

namespace KvMesh.Worker.Tests.Devices;

/// <summary>Blocks of a real node, out of its arena to a device.</summary>
public sealed class LeasedCopyTests
{
    private const int MiB = 1 << 20;

    [Theory]
    [InlineData(ClientTransport.SharedMemory)]
    [InlineData(ClientTransport.Tcp)]
    public async Task A_block_goes_to_the_device_and_its_lease_back(ClientTransport transport)
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(transport);
        await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, TestBytes.Payload(3, MiB), default);
        using var device = new HostDevice(16 * MiB);
        using var arenas = new ArenaRegistrations(device);
        using var stream = device.CreateStream();
        var buffer = device.Allocate(2 * MiB);
        var block = (await client.LeaseAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default))!;

        arenas.Add(block);
        Assert.Equal(transport == ClientTransport.SharedMemory, block.IsInPlace);
        Assert.True(await LeasedCopy.ToDeviceAsync(stream, block, buffer, MiB));

        Assert.True(buffer.Span(MiB, MiB).SequenceEqual(TestBytes.Payload(3, MiB)));
        Assert.Null(arenas.Detour);
        Assert.Throws<ObjectDisposedException>(() => block.Span.Length);
    }

    [Fact]
    public async Task The_lease_is_held_until_the_copy_is_done()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(ClientTransport.SharedMemory);
        await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, TestBytes.Payload(3, MiB), default);
        using var device = new HostDevice(16 * MiB);
        using var gate = new ManualResetEventSlim();
        using var stream = device.CreateStream();
        var buffer = device.Allocate(MiB);
        var block = (await client.LeaseAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default))!;
        stream.WhenDone(_ => gate.Wait());

        var copy = LeasedCopy.ToDeviceAsync(stream, block, buffer, 0);

        Assert.Equal(MiB, block.Span.Length);
        gate.Set();
        Assert.True(await copy);
        Assert.Throws<ObjectDisposedException>(() => block.Span.Length);
    }

    [Fact]
    public async Task A_copy_whose_generation_changed_is_no_copy()
    {
        // Leases run out at once, so that whatever is written next may take the extent.
        await using var node = new NodeFixture(
            options =>
            {
                options.ArenaBytes = 16 * MiB;
                options.MaxResidenceLease = TimeSpan.FromMilliseconds(1);
            },
            options => options with { MaxResidenceLease = TimeSpan.FromMilliseconds(1) });
        var client = await node.ConnectAsync(ClientTransport.SharedMemory);
        await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, TestBytes.Payload(0, MiB), default);
        using var device = new HostDevice(16 * MiB);
        using var stream = device.CreateStream();
        var buffer = device.Allocate(MiB);
        var block = (await client.LeaseAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default))!;
        Assert.True(block.IsInPlace);

        var index = 0;
        await Eventually.Holds(
            async () =>
            {
                index++;
                await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(2, index), default, TestBytes.Payload(index, MiB), default);
                return !node.Engine.Engine.TryInspect(node.Engine.Tenant, NodeFixture.Scope.KeyOf(TestBytes.Hash(1, 0)), out _);
            },
            "the eviction of the block");

        Assert.False(await LeasedCopy.ToDeviceAsync(stream, block, buffer, 0));
    }

    [Fact]
    public async Task A_copy_that_is_refused_gives_the_lease_back()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(ClientTransport.SharedMemory);
        await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, TestBytes.Payload(3, MiB), default);
        using var device = new HostDevice(16 * MiB);
        using var stream = device.CreateStream();
        var buffer = device.Allocate(MiB);
        var block = (await client.LeaseAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default))!;

        var failure = await Assert.ThrowsAsync<DeviceException>(() => LeasedCopy.ToDeviceAsync(stream, block, buffer, 1));

        Assert.Equal(DeviceError.OutOfBounds, failure.Error);
        Assert.Throws<ObjectDisposedException>(() => block.Span.Length);
    }
}
