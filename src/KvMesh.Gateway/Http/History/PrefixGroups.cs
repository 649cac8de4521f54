using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using KvMesh.Engine.Blocks;
using KvMesh.Protocol;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Keys;

namespace KvMesh.Gateway.Http.History;

/// <summary>Sums over blocks by the bytes that their keys have in common. Names are made for the groups, not for the blocks. One thread at a time.</summary>
internal sealed class PrefixGroups
{
    /// <summary>Keys of a producer without separators are a group each; a few thousand say as much as all.</summary>
    private const int MaxKeptGroups = 16 * 1024;

    private readonly Dictionary<Group, Sum> _sums = new(GroupComparer.Instance);
    private readonly Dictionary<Group, Sum>.AlternateLookup<Probe> _byProbe;

    public PrefixGroups() => _byProbe = _sums.GetAlternateLookup<Probe>();

    private enum Kind
    {
        Native,
        Lmcache,
        Other,
    }

    /// <summary>Blocks added.</summary>
    public long Blocks { get; private set; }

    /// <summary>Whether groups were left out.</summary>
    public bool IsFull { get; private set; }

    public void Add(Tenant tenant, ReadOnlySpan<byte> key, in BlockInfo info)
    {
        Blocks++;
        var probe = ProbeOf(tenant, key, info);
        if (!_byProbe.TryGetValue(probe, out var sum))
        {
            if (_sums.Count >= MaxKeptGroups)
            {
                IsFull = true;
                return;
            }

            sum = new Sum();
            _byProbe[probe] = sum;
        }

        sum.Hits += info.Hits;
        sum.Blocks++;
        sum.Bytes += info.PayloadBytes;
    }

    /// <summary>The groups with most hits.</summary>
    public IReadOnlyList<PrefixStatus> Top(int count) =>
    [
        .. _sums.Select(pair => View(pair.Key, pair.Value))
            .GroupBy(status => status with { Hits = 0, Blocks = 0, Bytes = 0 })
            .Select(same => same.Key with { Hits = same.Sum(one => one.Hits), Blocks = same.Sum(one => one.Blocks), Bytes = same.Sum(one => one.Bytes) })
            .OrderByDescending(status => status.Hits)
            .ThenByDescending(status => status.Bytes)
            .Take(count),
    ];

    private static Probe ProbeOf(Tenant tenant, ReadOnlySpan<byte> key, in BlockInfo info)
    {
        if (key.Length > Limits.ChainHashBytes && BlockScope.IsWellFormed(key[..^Limits.ChainHashBytes]))
        {
            return new Probe(tenant.Name, Kind.Native, "", "", key[..^Limits.ChainHashBytes]);
        }

        if (LmcacheKey.TryParse(key, out var parsed))
        {
            var common = key[..parsed.Hash.GetOffsetAndLength(key.Length).Offset].TrimEnd((byte)'@');
            return new Probe(tenant.Name, Kind.Lmcache, "", "", common, parsed.Model);
        }

        // An opaque key up to its last separator: keys of one producer differ behind it.
        var end = key.LastIndexOfAny("@:/|#"u8);
        return new Probe(tenant.Name, Kind.Other, info.Model, info.Revision, end > 0 ? key[..end] : []);
    }

    private static PrefixStatus View(Group group, Sum sum)
    {
        var common = group.Common.AsSpan();
        if (group.Kind == Kind.Native && BlockScope.TryParse(common, out var model, out var revision))
        {
            var part = BitConverter.ToUInt32(common[^sizeof(uint)..]);
            return new PrefixStatus(group.Tenant, "native", model, revision, $"part {part.ToString(CultureInfo.InvariantCulture)}", sum.Hits, sum.Blocks, sum.Bytes);
        }

        var name = RequestFields.TextOf(common)
            ?? (group.Kind == Kind.Lmcache ? "" : Convert.ToHexStringLower(common[..Math.Min(common.Length, 32)]));
        return new PrefixStatus(group.Tenant, "opaque", group.Model, group.Revision, name, sum.Hits, sum.Blocks, sum.Bytes);
    }

    /// <summary>What a block belongs to, in the bytes of its key. Model and revision count for keys of no known grammar only; the others name them.</summary>
    private readonly ref struct Probe(string tenant, Kind kind, string model, string revision, ReadOnlySpan<byte> common, Range modelInKey = default)
    {
        public readonly string Tenant = tenant;
        public readonly Kind Kind = kind;
        public readonly string Model = model;
        public readonly string Revision = revision;
        public readonly ReadOnlySpan<byte> Common = common;

        /// <summary>Where a key of LMCache names the model.</summary>
        public readonly Range ModelInKey = modelInKey;
    }

    private sealed record Group(string Tenant, Kind Kind, string Model, string Revision, byte[] Common);

    private sealed class Sum
    {
        public long Hits;
        public long Blocks;
        public long Bytes;
    }

    private sealed class GroupComparer : IEqualityComparer<Group>, IAlternateEqualityComparer<Probe, Group>
    {
        public static readonly GroupComparer Instance = new();

        public bool Equals(Group? left, Group? right) => ReferenceEquals(left, right) || (left is not null && right is not null && Equals(ProbeOf(left), right));

        public int GetHashCode([DisallowNull] Group group) => GetHashCode(ProbeOf(group));

        public bool Equals(Probe probe, Group group) =>
            probe.Kind == group.Kind && probe.Tenant == group.Tenant && probe.Common.SequenceEqual(group.Common)
            && (probe.Kind != Kind.Other || (probe.Model == group.Model && probe.Revision == group.Revision));

        public int GetHashCode(Probe probe)
        {
            var hash = default(HashCode);
            hash.Add((int)probe.Kind);
            hash.AddBytes(probe.Common);
            return hash.ToHashCode();
        }

        public Group Create(Probe probe)
        {
            var model = probe.Kind == Kind.Lmcache ? RequestFields.TextOf(probe.Common[probe.ModelInKey]) ?? "" : probe.Model;
            return new Group(probe.Tenant, probe.Kind, model, probe.Revision, probe.Common.ToArray());
        }

        private static Probe ProbeOf(Group group) => new(group.Tenant, group.Kind, group.Model, group.Revision, group.Common);
    }
}
