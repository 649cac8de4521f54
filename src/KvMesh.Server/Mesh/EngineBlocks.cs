using KvMesh.Cluster.Placement.Nodes;
using KvMesh.Engine;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers;
using KvMesh.Gateway.Native.Peers;

namespace KvMesh.Server.Mesh;

/// <summary>The engine as placement sees it.</summary>
/// <param name="door">Tells other nodes what they do not know of this one.</param>
internal sealed class EngineBlocks(BlockEngine engine, PeerDoor door) : INodeBlocks
{
    /// <summary>Blocks that are looked at for one page.</summary>
    private const int PageBlocks = 1024;

    public IReadOnlyList<string> Tenants { get; } = [.. engine.Tenants.All.Select(tenant => tenant.Name)];

    public (long CapacityBytes, long FreeBytes) Room
    {
        get
        {
            var host = engine.Snapshot().Tiers.First(tier => tier.Name == "host");
            return (host.CapacityBytes, host.CapacityBytes - host.UsedBytes);
        }
    }

    public (long Bytes, TimeSpan Time) Served => engine.PeersServed;

    public bool TryFind(string tenant, ReadOnlySpan<byte> key, out long bytes)
    {
        var isHere = engine.Tenants.Find(tenant) is { } owner && engine.TryInspect(owner, key, out var info) && info.IsContent ? info.FetchBytes : -1;
        bytes = Math.Max(0, isHere);
        return isHere >= 0;
    }

    public bool TryFetch(string tenant, ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> parent, Action<BlockArrival, long> completed) =>
        engine.Tenants.Find(tenant) is { } owner && engine.TryOrderFetch(owner, key, parent, (result, bytes) =>
        {
            if (result == FetchOrderResult.AlreadyHere)
            {
                // Whoever ordered it does not know: it would be ordered again and again, and a copy of a pin would never count.
                door.Correct(owner, key.Span);
            }

            completed(
                result switch
                {
                    FetchOrderResult.Fetched => BlockArrival.Came,
                    FetchOrderResult.AlreadyHere => BlockArrival.WasHere,
                    _ => BlockArrival.Failed,
                },
                bytes);
        });

    public long ListChain(string tenant, ReadOnlySpan<byte> tail, int most, List<ReadOnlyMemory<byte>> keys) =>
        engine.Tenants.Find(tenant) is { } owner ? engine.ListChain(owner, tail, most, keys) : 0;

    public void KeepLossless(string tenant, ReadOnlySpan<byte> tail, int most)
    {
        if (engine.Tenants.Find(tenant) is { } owner)
        {
            engine.KeepLossless(owner, tail, most);
        }
    }

    public BlockHold Hold(string tenant, ReadOnlySpan<byte> key, TimeSpan duration)
    {
        if (engine.Tenants.Find(tenant) is not { } owner)
        {
            return BlockHold.Missing;
        }

        if (duration <= TimeSpan.Zero)
        {
            engine.Release(owner, key);
            return BlockHold.Held;
        }

        return engine.TryHold(owner, key, duration) switch
        {
            HoldStatus.Held => BlockHold.Held,
            HoldStatus.Full => BlockHold.Full,
            _ => BlockHold.Missing,
        };
    }

    public long Scan(string tenant, long cursor, List<LocalBlock> page) =>
        engine.Tenants.Find(tenant) is not { } owner ? 0 : engine.Scan(owner, cursor, PageBlocks, (key, info) =>
        {
            if (info.IsContent)
            {
                page.Add(new LocalBlock(key, info.PayloadBytes, info.IsFollowed));
            }
        });
}
