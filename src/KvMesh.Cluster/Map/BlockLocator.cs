using System.Diagnostics;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Map;

/// <summary>
/// Answers from this node's own map where it is the directory, and asks other directories where it is not. One of it per node.
/// </summary>
public sealed class BlockLocator(BlockMap map, IDirectoryClient directories, MapMetrics metrics) : IBlockLocator
{
    /// <summary>Longest chain of which every block is looked up where that needs no other node.</summary>
    private const int MaxLookups = 64;

    private volatile DirectoryRole? _role;
    private volatile SlotSet _complete = new();

    /// <summary>What this node is a directory for; null: it is in no cluster yet, and knows of no other node.</summary>
    public DirectoryRole? Role
    {
        get => _role;
        set => _role = value;
    }

    /// <summary>Slots of which every node that can be reached was listed.</summary>
    public SlotSet Complete
    {
        get => _complete;
        set => _complete = value;
    }

    /// <summary>Whether what this node's map does not say of a slot is known not to be.</summary>
    public bool IsComplete(int slot) => _complete.Contains(slot);

    /// <summary>The map of this node.</summary>
    public BlockMap Map => map;

    public int MatchPrefix(string tenant, ReadOnlySpan<byte> scope, ReadOnlySpan<byte> hashes, int from, Span<BlockHolders> holders, TimeSpan limit)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(from);
        var count = Math.Min((hashes.Length / Limits.ChainHashBytes) - from, Math.Min(holders.Length, Limits.MaxBlocksPerRequest));
        if (_role is not { } role || count <= 0)
        {
            return 0;
        }

        var startedAt = Stopwatch.GetTimestamp();
        hashes = hashes.Slice(from * Limits.ChainHashBytes, count * Limits.ChainHashBytes);
        var held = role.Own.IsFull && count <= MaxLookups
            ? LookUp(role, TenantNumbers.Of(tenant), scope, hashes, holders)
            : Probe(role, TenantNumbers.Of(tenant), scope, hashes, holders, limit);
        metrics.NoteMatch(startedAt, held);
        return held;
    }

    public BlockHolders Locate(string tenant, ReadOnlySpan<byte> key, TimeSpan limit)
    {
        if (_role is not { } role)
        {
            return default;
        }

        var holders = default(BlockHolders);
        var digest = KeyDigest.Compute(role.Secret, TenantNumbers.Of(tenant), key);
        Ask(role, new ReadOnlySpan<KeyDigest>(in digest), new Span<BlockHolders>(ref holders), limit);
        return holders;
    }

    public void ReportFalseHit(string tenant, ReadOnlySpan<byte> key, ushort holder)
    {
        metrics.NoteFalseHit();
        if (_role is { } role)
        {
            map.Remove(KeyDigest.Compute(role.Secret, TenantNumbers.Of(tenant), key), holder);
        }
    }

    public NodeRecord? NodeOf(ushort holder) => map.RecordOf(holder);

    /// <summary>Looks at every block of a short chain: exact, as far as the map is.</summary>
    private int LookUp(DirectoryRole role, uint tenant, ReadOnlySpan<byte> scope, ReadOnlySpan<byte> hashes, Span<BlockHolders> holders)
    {
        Span<KeyDigest> digests = stackalloc KeyDigest[MaxLookups];
        digests = digests[..(hashes.Length / Limits.ChainHashBytes)];
        ChainDigests.Compute(role.Secret, tenant, scope, hashes, digests);
        return map.FindRun(digests, holders, role.Self);
    }

    private int Probe(DirectoryRole role, uint tenant, ReadOnlySpan<byte> scope, ReadOnlySpan<byte> hashes, Span<BlockHolders> holders, TimeSpan limit)
    {
        var startedAt = Stopwatch.GetTimestamp();
        var probe = new PrefixProbe(hashes.Length / Limits.ChainHashBytes, holders);
        Span<byte> chosen = stackalloc byte[PrefixProbe.ProbesPerRound * Limits.ChainHashBytes];
        Span<KeyDigest> digests = stackalloc KeyDigest[PrefixProbe.ProbesPerRound];
        Span<BlockHolders> answers = stackalloc BlockHolders[PrefixProbe.ProbesPerRound];
        while (probe.Next() is { Length: > 0 } blocks)
        {
            for (var index = 0; index < blocks.Length; index++)
            {
                hashes.Slice(blocks[index] * Limits.ChainHashBytes, Limits.ChainHashBytes).CopyTo(chosen[(index * Limits.ChainHashBytes)..]);
            }

            ChainDigests.Compute(role.Secret, tenant, scope, chosen[..(blocks.Length * Limits.ChainHashBytes)], digests);
            if (!Ask(role, digests[..blocks.Length], answers, limit - Stopwatch.GetElapsedTime(startedAt)))
            {
                break;
            }

            probe.Take(answers);
        }

        metrics.NoteProbes(probe.Rounds);
        return probe.Finish();
    }

    /// <summary>Blocks of own slots from the map, the others from their directories. False when nobody answered.</summary>
    private bool Ask(DirectoryRole role, ReadOnlySpan<KeyDigest> digests, Span<BlockHolders> holders, TimeSpan limit)
    {
        Span<KeyDigest> foreign = stackalloc KeyDigest[PrefixProbe.ProbesPerRound];
        Span<int> places = stackalloc int[PrefixProbe.ProbesPerRound];
        var count = 0;
        if (role.Own.IsFull)
        {
            map.FindEach(digests, holders, role.Self);
            return true;
        }

        for (var index = 0; index < digests.Length; index++)
        {
            if (role.Own.Contains(DigestSlots.Of(digests[index])))
            {
                holders[index] = map.Find(digests[index], role.Self);
            }
            else
            {
                places[count] = index;
                foreign[count++] = digests[index];
            }
        }

        if (count == 0)
        {
            return true;
        }

        Span<BlockHolders> answers = stackalloc BlockHolders[PrefixProbe.ProbesPerRound];
        if (limit <= TimeSpan.Zero || !directories.Locate(role.Assignment, role.Secret, foreign[..count], answers[..count], map, limit))
        {
            return false;
        }

        for (var index = 0; index < count; index++)
        {
            holders[places[index]] = answers[index].Without(role.Self);
        }

        return true;
    }
}
