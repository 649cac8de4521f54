using System.Buffers.Binary;
using System.Diagnostics;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Engine;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers;
using KvMesh.Protocol;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Gateway.Http;

/// <summary>
/// Tells operators where the segments of a sequence are. No node lets a block go before those that follow it, so the first and the last block of
/// a segment speak for all of it. Blocks its thread while directories or Redis are asked; looking counts as no use.
/// </summary>
/// <param name="locator">What the others hold.</param>
/// <param name="redis">Null: blocks are not kept in Redis.</param>
public sealed class BlockPlaces(BlockEngine engine, NodeId self, IBlockLocator locator, IBlockTier? redis)
{
    /// <summary>Parts of a block that are looked for; of more, these stand for the rest.</summary>
    private const int MaxParts = 8;

    private static readonly TimeSpan DirectoryWait = TimeSpan.FromMilliseconds(20);

    /// <summary>A page that nobody answers for must not hold a thread: what is not known by then stays unknown.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>Where each of these segments is, in their order.</summary>
    /// <param name="scope">Scope of part 0.</param>
    internal IReadOnlyList<SegmentPlace>?[] Find(Tenant tenant, ReadOnlySpan<byte> scope, int parts, ReadOnlySpan<SegmentRow> rows)
    {
        var startedAt = Stopwatch.GetTimestamp();
        var key = new byte[scope.Length + Limits.ChainHashBytes];
        scope.CopyTo(key);
        var places = new IReadOnlyList<SegmentPlace>?[rows.Length];
        for (var index = 0; index < rows.Length && Stopwatch.GetElapsedTime(startedAt) < Patience; index++)
        {
            places[index] = Find(tenant, key, Math.Min(parts, MaxParts), rows[index]);
        }

        return places;
    }

    private List<SegmentPlace> Find(Tenant tenant, byte[] key, int parts, in SegmentRow row)
    {
        var seen = new SortedDictionary<string, Sighting>(StringComparer.Ordinal);
        for (var part = 0; part < parts; part++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(key.AsSpan(key.Length - Limits.ChainHashBytes - sizeof(uint)), (uint)part);
            row.LastHash.CopyTo(key.AsSpan(key.Length - Limits.ChainHashBytes));
            Look(tenant, key, isLast: true, seen);
            row.FirstHash.CopyTo(key.AsSpan(key.Length - Limits.ChainHashBytes));
            Look(tenant, key, isLast: false, seen);
        }

        return
        [
            .. seen.Select(place => new SegmentPlace(
                place.Key, place.Value.LastBlocks == parts, place.Key.Length == 0 ? [FarTierNames.Redis] : [.. TierNames.Of(place.Value.Tiers)])),
        ];
    }

    private void Look(Tenant tenant, ReadOnlySpan<byte> key, bool isLast, SortedDictionary<string, Sighting> seen)
    {
        if (engine.TryInspect(tenant, key, out var info))
        {
            Note(self.Value, info.Tiers);
        }
        else if (engine.IsHeld(tenant, key))
        {
            Note(self.Value, BlockTiers.Gpu);
        }

        var holders = locator.Locate(tenant.Name, key, DirectoryWait);
        for (var index = 0; index < holders.Count; index++)
        {
            if (locator.NodeOf(holders[index]) is { } node)
            {
                Note(node.Id.Value, BlockTiers.None);
            }
        }

        if (redis?.Has(tenant, key) == true)
        {
            Note("", BlockTiers.None);
        }

        void Note(string place, BlockTiers tiers)
        {
            var sighting = seen.GetValueOrDefault(place);
            seen[place] = new Sighting(sighting.LastBlocks + (isLast ? 1 : 0), sighting.Tiers | tiers);
        }
    }

    private readonly record struct Sighting(int LastBlocks, BlockTiers Tiers);
}
