using System.Diagnostics;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Cluster.Map;

/// <summary>
/// Answers from this node's own map where it is the directory, and asks other directories where it is not. One of it per node.
/// </summary>
public sealed class BlockLocator(BlockMap map, IDirectoryClient directories, MapMetrics metrics) : IBlockLocator
{
    /// <summary>Longest chain of which every block is looked up where that needs no other node.</summary>
    private const int MaxLookups = 64;

    /// <summary>How long after a probe leapt over blocks a miss is taken for one of theirs.</summary>
    private static readonly TimeSpan LeapMemory = TimeSpan.FromMinutes(1);

    private readonly KnownHoles _holes = new();
    private long _leaptAt;
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
            : Confirm(role, TenantNumbers.Of(tenant), scope, hashes, holders, Probe(role, TenantNumbers.Of(tenant), scope, hashes, holders, limit), limit);
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
        if (Ask(role, new ReadOnlySpan<KeyDigest>(in digest), new Span<BlockHolders>(ref holders), limit) && holders.IsEmpty)
        {
            NoteHole(tenant, key);
        }

        return holders;
    }

    public void LocateAll(string tenant, IReadOnlyList<ReadOnlyMemory<byte>> keys, HolderLists holders, TimeSpan limit)
    {
        ArgumentNullException.ThrowIfNull(keys);
        ArgumentNullException.ThrowIfNull(holders);
        if (_role is not { } role)
        {
            return;
        }

        var startedAt = Stopwatch.GetTimestamp();
        var number = TenantNumbers.Of(tenant);
        var foreign = new List<(int Index, KeyDigest Digest)>();
        Span<ushort> named = stackalloc ushort[HolderLists.MaxNamed];
        for (var index = 0; index < keys.Count; index++)
        {
            var digest = KeyDigest.Compute(role.Secret, number, keys[index].Span);
            if (role.Own.IsFull || role.Own.Contains(DigestSlots.Of(digest)))
            {
                holders.Set(index, named[..map.FindAll(digest, named)], role.Self);
            }
            else
            {
                foreign.Add((index, digest));
            }
        }

        foreach (var batch in foreign.Chunk(LocateRequest.MaxBlocksOfAll))
        {
            var rest = limit - Stopwatch.GetElapsedTime(startedAt);
            var answers = new HolderLists(batch.Length);
            if (rest <= TimeSpan.Zero || !directories.LocateAll(role.Assignment, role.Secret, [.. batch.Select(asked => asked.Digest)], answers, map, rest))
            {
                return;
            }

            for (var index = 0; index < batch.Length; index++)
            {
                holders.Set(batch[index].Index, answers[index], role.Self);
            }
        }
    }

    public int MarkOf(string tenant, ReadOnlySpan<byte> key) =>
        _role is { } role ? map.ToldOf(KeyDigest.Compute(role.Secret, TenantNumbers.Of(tenant), key)) : 0;

    public void ReportFalseHit(string tenant, ReadOnlySpan<byte> key, ushort holder, int mark)
    {
        metrics.NoteFalseHit();
        if (_role is { } role)
        {
            map.Remove(KeyDigest.Compute(role.Secret, TenantNumbers.Of(tenant), key), holder, unlessSince: mark);
            NoteHole(tenant, key);
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
        var held = probe.Finish();
        var now = Stopwatch.GetTimestamp();
        if (held > 0 && Stopwatch.GetElapsedTime(Volatile.Read(ref _leaptAt), now) > TimeSpan.FromSeconds(1))
        {
            // Written now and then only, because all readers share it.
            Volatile.Write(ref _leaptAt, now);
        }

        return held;
    }

    /// <summary>Ends a prefix that was probed before the first block that a reader missed lately and that still nobody has.</summary>
    private int Confirm(
        DirectoryRole role, uint tenant, ReadOnlySpan<byte> scope, ReadOnlySpan<byte> hashes, Span<BlockHolders> holders, int held, TimeSpan limit)
    {
        hashes = hashes[..(held * Limits.ChainHashBytes)];
        for (var block = 0; !_holes.IsEmpty && (block = _holes.Next(tenant, hashes, block)) < held; block++)
        {
            var hash = hashes.Slice(block * Limits.ChainHashBytes, Limits.ChainHashBytes);
            var (digest, holder) = (default(KeyDigest), default(BlockHolders));
            ChainDigests.Compute(role.Secret, tenant, scope, hash, new Span<KeyDigest>(ref digest));
            if (!Ask(role, new ReadOnlySpan<KeyDigest>(in digest), new Span<BlockHolders>(ref holder), limit))
            {
                break;
            }

            if (holder.IsEmpty)
            {
                holders[block..held].Clear();
                return block;
            }

            holders[block] = holder;
            _holes.Forget(tenant, hash);
        }

        return held;
    }

    /// <summary>A reader of this node asked for a block and nobody has it: perhaps because a probe leapt over it.</summary>
    private void NoteHole(string tenant, ReadOnlySpan<byte> key)
    {
        if (key.Length >= Limits.ChainHashBytes && Volatile.Read(ref _leaptAt) is var at && at != 0 && Stopwatch.GetElapsedTime(at) < LeapMemory
            && _holes.Note(TenantNumbers.Of(tenant), key[^Limits.ChainHashBytes..]))
        {
            metrics.NoteHole();
        }
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
