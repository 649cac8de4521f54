using System.Buffers;
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
        var digests = ArrayPool<KeyDigest>.Shared.Rent(count);
        try
        {
            hashes = hashes.Slice(from * Limits.ChainHashBytes, count * Limits.ChainHashBytes);
            ChainDigests.Compute(role.Secret, TenantNumbers.Of(tenant), scope, hashes, digests);
            var held = role.Own.IsFull
                ? map.FindRun(digests.AsSpan(0, count), holders, role.Self)
                : Probe(role, digests.AsMemory(0, count), holders, limit);
            metrics.NoteMatch(startedAt, held);
            return held;
        }
        finally
        {
            ArrayPool<KeyDigest>.Shared.Return(digests);
        }
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

    private int Probe(DirectoryRole role, ReadOnlyMemory<KeyDigest> digests, Span<BlockHolders> holders, TimeSpan limit)
    {
        var startedAt = Stopwatch.GetTimestamp();
        var held = PrefixProbe.Run(
            digests.Length,
            holders,
            (blocks, answers) =>
            {
                Span<KeyDigest> asked = stackalloc KeyDigest[PrefixProbe.ProbesPerRound];
                for (var index = 0; index < blocks.Length; index++)
                {
                    asked[index] = digests.Span[blocks[index]];
                }

                var rest = limit - Stopwatch.GetElapsedTime(startedAt);
                return rest > TimeSpan.Zero && Ask(role, asked[..blocks.Length], answers, rest);
            },
            out var rounds);
        metrics.NoteProbes(rounds);
        return held;
    }

    /// <summary>Blocks of own slots from the map, the others from their directories. False when nobody answered.</summary>
    private bool Ask(DirectoryRole role, ReadOnlySpan<KeyDigest> digests, Span<BlockHolders> holders, TimeSpan limit)
    {
        Span<KeyDigest> foreign = stackalloc KeyDigest[PrefixProbe.ProbesPerRound];
        Span<int> places = stackalloc int[PrefixProbe.ProbesPerRound];
        var count = 0;
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
