using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Host;

/// <summary>Tenants of one isolation group share an arena; nobody is driven out of the share that was promised to it.</summary>
public sealed class TenantShareTests : IDisposable
{
    private const int MiB = 1 << 20;
    private const int BlockBytes = 60_000;

    private readonly TestEngine _node = new(options =>
    {
        options.ArenaBytes = 8 * MiB;
        options.Tenants.Add(new TenantOptions { Name = "red", IsolationGroup = "both", Share = 0.25 });
        options.Tenants.Add(new TenantOptions { Name = "blue", IsolationGroup = "both", Share = 0.5 });
    });

    private Tenant Red => _node.Engine.Tenants.Find("red")!;

    private Tenant Blue => _node.Engine.Tenants.Find("blue")!;

    public void Dispose() => _node.Dispose();

    [Fact]
    public void A_tenant_within_its_share_loses_nothing_to_others()
    {
        // 30 blocks are 1.8 MiB of the 2 MiB that belong to red; blue writes four times the whole arena.
        Put(Red, 30);
        Put(Blue, 560);
        Assert.Equal(30, Present(Red, 30));
        Assert.True(Present(Blue, 560) > 60, "blue has the rest of the arena");
    }

    [Fact]
    public void What_a_tenant_has_beyond_its_share_leaves_first_and_its_share_stays()
    {
        Put(Red, 70);
        Assert.True(Red.HostBytes > 2 * Red.ShareBytes, $"red has {Red.HostBytes} bytes, and nobody else needs them");
        Put(Blue, 560);

        // A batch may go a little below what was asked for, never below the share by more.
        Assert.True(Red.HostBytes >= Red.ShareBytes - (Red.ShareBytes / 10), $"red has {Red.HostBytes} of the {Red.ShareBytes} bytes of its share");
        Assert.True(Blue.HostBytes >= Blue.ShareBytes - (Blue.ShareBytes / 10), $"blue has {Blue.HostBytes} of the {Blue.ShareBytes} bytes of its share");
    }

    [Fact]
    public void A_key_of_one_tenant_is_none_of_another()
    {
        Put(Red, 5);
        Assert.Equal(0, Present(Blue, 5));
        Assert.False(_node.Engine.Remove(Blue, Key(1)));
        _node.Engine.Purge(Blue, null, null);
        Assert.Equal(5, Present(Red, 5));
    }

    private static byte[] Key(int index) => Encoding.UTF8.GetBytes($"key {index}");

    private void Put(Tenant tenant, int blocks)
    {
        for (var index = 0; index < blocks; index++)
        {
            Assert.Equal(SealStatus.Sealed, _node.Put(Key(index), TestBytes.Payload(index + 1, BlockBytes), BlockTraits.Opaque, tenant: tenant));
        }
    }

    private int Present(Tenant tenant, int blocks) => Enumerable.Range(0, blocks).Count(index => _node.Engine.TryInspect(tenant, Key(index), out _));
}
