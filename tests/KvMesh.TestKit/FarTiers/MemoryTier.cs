using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;

namespace KvMesh.TestKit.FarTiers;

/// <summary>A far tier in memory that keeps its promises, unless a test tells it not to.</summary>
public sealed class MemoryTier(string name = "memory") : IBlockTier
{
    private readonly ConcurrentDictionary<string, StoredBlock> _blocks = new();
    private int _fetches;

    public string Name => name;

    public bool TakesOffers { get; set; }

    /// <summary>Runs in every fetch before the bytes, on the thread that fetches.</summary>
    public Action<IBlockIntake>? BeforeBytes { get; set; }

    /// <summary>Changes the bytes on their way.</summary>
    public Action<byte[]>? Corrupt { get; set; }

    /// <summary>Whether it says to hold what it does not hold.</summary>
    public bool BelievesAnything { get; set; }

    public int Fetches => Volatile.Read(ref _fetches);

    public int Count => _blocks.Count;

    public void Store(string tenant, ReadOnlySpan<byte> key, byte[] payload, in BlockTraits traits, long expiresAt = 0) =>
        _blocks[NameOf(tenant, key)] = new StoredBlock(
            payload, traits.Model, traits.Revision, traits.ParentKey.ToArray(), traits.CompanionOf.ToArray(), traits.IsContent, expiresAt);

    public void StoreContent(ReadOnlySpan<byte> key, byte[] payload, ReadOnlySpan<byte> parent = default) =>
        Store(Tenant.DefaultName, key, payload, BlockTraits.Content("model", "1", parent));

    /// <summary>Content that has lost something.</summary>
    public void StoreLossy(ReadOnlySpan<byte> key, byte[] payload, Loss loss)
    {
        StoreContent(key, payload);
        _blocks[NameOf(Tenant.DefaultName, key)] = _blocks[NameOf(Tenant.DefaultName, key)] with { Loss = loss };
    }

    public void Remove(ReadOnlySpan<byte> key) => _blocks.TryRemove(NameOf(Tenant.DefaultName, key), out _);

    public bool Has(ReadOnlySpan<byte> key) => _blocks.ContainsKey(NameOf(Tenant.DefaultName, key));

    public ulong Believes(Tenant tenant, ReadOnlySpan<byte> key) =>
        BelievesAnything || _blocks.ContainsKey(NameOf(tenant.Name, key)) ? 7UL : 0;

    public int CountPrefix(Tenant tenant, KeyRun keys, int from)
    {
        Span<byte> key = stackalloc byte[Limits.MaxKeyBytes];
        key = key[..keys.KeyBytes];
        var count = 0;
        for (; from + count < keys.Count; count++)
        {
            keys.CopyKey(from + count, key);
            if (Believes(tenant, key) == 0)
            {
                break;
            }
        }

        return count;
    }

    public FetchOutcome Fetch(Tenant tenant, ReadOnlySpan<byte> key, ulong belief, IBlockIntake intake)
    {
        Assert.Equal(7UL, belief);
        Interlocked.Increment(ref _fetches);
        BeforeBytes?.Invoke(intake);
        if (!_blocks.TryGetValue(NameOf(tenant.Name, key), out var stored))
        {
            return FetchOutcome.FalseHit;
        }

        if (stored.Loss is not null && intake.LosslessOnly)
        {
            return FetchOutcome.Lossy;
        }

        var table = new uint[ChecksumTable.EntryCount(stored.Payload.Length)];
        ChecksumTable.Compute(stored.Payload, table);
        var origin = new BlockOrigin
        {
            PayloadBytes = stored.Payload.Length,
            TableChecksum = ChecksumTable.Seal(table),
            ExpiresAt = stored.ExpiresAt,
            Loss = stored.Loss,
            Traits = new BlockTraits
            {
                IsContent = stored.IsContent,
                Model = stored.Model,
                Revision = stored.Revision,
                ParentKey = stored.Parent,
                CompanionOf = stored.CompanionOf,
            },
        };
        if (!intake.TryReserve(origin))
        {
            return FetchOutcome.Failed;
        }

        var bytes = stored.Payload.ToArray();
        Corrupt?.Invoke(bytes);
        bytes.CopyTo(intake.Payload);
        return intake.TryAccept(0, MemoryMarshal.AsBytes<uint>(table)) ? FetchOutcome.Filled : FetchOutcome.Failed;
    }

    public bool Offer(in LeavingBlock block)
    {
        Store(block.Tenant.Name, block.Key, block.Payload.ToArray(), block.Origin.Traits, block.Origin.ExpiresAt);
        return true;
    }

    private static string NameOf(string tenant, ReadOnlySpan<byte> key) => $"{tenant}/{Convert.ToHexString(key)}";

    private sealed record StoredBlock(
        byte[] Payload, string Model, string Revision, byte[] Parent, byte[] CompanionOf, bool IsContent, long ExpiresAt)
    {
        public Loss? Loss { get; init; }
    }
}
