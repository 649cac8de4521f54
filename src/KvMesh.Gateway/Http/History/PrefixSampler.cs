using System.Globalization;
using KvMesh.Engine.Blocks;
using KvMesh.Protocol;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Keys;

namespace KvMesh.Gateway.Http.History;

/// <summary>
/// Groups blocks by what their keys have in common. An answer costs a walk over blocks, so it is kept for a few seconds and
/// the walk is bounded; what lies beyond is said to be missing.
/// </summary>
internal sealed class PrefixSampler(NodeView node)
{
    /// <summary>Most groups in an answer.</summary>
    public const int MaxGroups = 1000;

    private const int MaxSampledBlocks = 200_000;
    private const int ScanBatch = 4096;
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private PrefixList? _latest;

    /// <summary>The groups with most hits, of one tenant or of all.</summary>
    public PrefixList Top(int count, Tenant? tenant)
    {
        PrefixList list;
        lock (_lock)
        {
            if (_latest is null || node.Time.GetUtcNow() - _latest.TakenAt > Freshness)
            {
                _latest = Sample();
            }

            list = _latest;
        }

        var visible = list.Prefixes.Where(prefix => tenant is null || prefix.Tenant == tenant.Name);
        return list with { Prefixes = [.. visible.Take(count)] };
    }

    private PrefixList Sample()
    {
        var groups = new Dictionary<GroupKey, GroupSum>();
        long sampled = 0;
        var isComplete = true;
        foreach (var tenant in node.Engine.Tenants.All)
        {
            long cursor = 0;
            do
            {
                cursor = node.Engine.Scan(tenant, cursor, ScanBatch, (key, info) =>
                {
                    sampled++;
                    Count(groups, KeyOf(tenant.Name, key.Span, info), info);
                });
            }
            while (cursor != 0 && sampled < MaxSampledBlocks);

            isComplete &= cursor == 0;
        }

        var prefixes = groups
            .OrderByDescending(group => group.Value.Hits)
            .ThenByDescending(group => group.Value.Bytes)
            .Take(MaxGroups * 4)
            .Select(group => View(group.Key, group.Value));
        return new PrefixList(node.Time.GetUtcNow(), sampled, isComplete, [.. prefixes]);
    }

    private static void Count(Dictionary<GroupKey, GroupSum> groups, GroupKey key, in BlockInfo info)
    {
        var sum = groups.GetValueOrDefault(key);
        groups[key] = new GroupSum(sum.Hits + info.Hits, sum.Blocks + 1, sum.Bytes + info.PayloadBytes);
    }

    private static GroupKey KeyOf(string tenant, ReadOnlySpan<byte> key, in BlockInfo info)
    {
        if (key.Length > Limits.ChainHashBytes && BlockScope.TryParse(key[..^Limits.ChainHashBytes], out var model, out var revision))
        {
            var part = BitConverter.ToUInt32(key[^(Limits.ChainHashBytes + sizeof(uint))..]);
            return new GroupKey(tenant, "native", model, revision, $"part {part.ToString(CultureInfo.InvariantCulture)}");
        }

        if (LmcacheKey.TryParse(key, out var parsed))
        {
            var before = key[..parsed.Hash.GetOffsetAndLength(key.Length).Offset].TrimEnd((byte)'@');
            return new GroupKey(tenant, "opaque", RequestFields.TextOf(key[parsed.Model]) ?? "", "", RequestFields.TextOf(before) ?? "");
        }

        return new GroupKey(tenant, "opaque", info.Model, info.Revision, CommonPart(key));
    }

    /// <summary>An opaque key up to its last separator; keys of one producer differ behind it.</summary>
    private static string CommonPart(ReadOnlySpan<byte> key)
    {
        var end = key.LastIndexOfAny("@:/|#"u8);
        var common = end > 0 ? key[..end] : [];
        return RequestFields.TextOf(common) ?? Convert.ToHexStringLower(common[..Math.Min(common.Length, 32)]);
    }

    private static PrefixStatus View(GroupKey key, GroupSum sum) =>
        new(key.Tenant, key.Kind, key.Model, key.Revision, key.Prefix, sum.Hits, sum.Blocks, sum.Bytes);

    private readonly record struct GroupKey(string Tenant, string Kind, string Model, string Revision, string Prefix);

    private readonly record struct GroupSum(long Hits, long Blocks, long Bytes);
}
