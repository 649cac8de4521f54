using KvMesh.Cluster.Demand;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;

namespace KvMesh.Gateway.Resp.Keys;

/// <summary>
/// Guesses which block comes before which, for clients that do not say. LMCache probes one prompt in chain order and stops at
/// the first block that is missing; then it loads what was there, and later stores the rest in order. So, among the keys of one
/// source that agree in all but the hash:
/// <list type="number">
/// <item>A run of probes that find their block is a chain. It ends at the first miss, at a pause of the window, at a load of its first
/// block, or when its first block is probed again.</item>
/// <item>The block that was missing follows the last one that was there, whenever it is stored.</item>
/// <item>Any other block that is stored within the window follows the one stored before it.</item>
/// </list>
/// A wrong guess orders eviction badly and does nothing worse. Any thread may call; memory is bounded by the count of families.
/// <para>
/// Where somebody counts demand, such a run of probes is one request for a prompt, and so is a run of loads that nobody probed for.
/// </para>
/// </summary>
internal sealed class OpaqueChains(TimeSpan window, int maxFamilies, TimeProvider time)
{
    private const int Stripes = 16;

    /// <summary>Misses remembered per family, on average, until their block is stored.</summary>
    private const int MissesPerFamily = 8;

    /// <summary>How long loads belong to the lookup before them, so that they are no request of their own.</summary>
    private static readonly TimeSpan LookupMemory = TimeSpan.FromMinutes(1);

    private readonly DigestSecret _secret = DigestSecret.Create();
    private readonly Func<long, bool> _isPause = at => time.GetElapsedTime(at) > window;
    private readonly ChainStripe[] _stripes =
        [.. Enumerable.Range(0, Stripes).Select(_ => new ChainStripe(Math.Max(1, maxFamilies / Stripes), Math.Max(1, maxFamilies * MissesPerFamily / Stripes)))];

    /// <summary>Takes note of what clients ask for; null: nobody does.</summary>
    public DemandSampler? Demand { get; set; }

    /// <summary>Families and misses remembered now.</summary>
    internal (int Families, int Misses) Remembered => (_stripes.Sum(stripe => stripe.Families), _stripes.Sum(stripe => stripe.Misses));

    /// <summary>Names a source of commands: connections of one tenant from one address share it.</summary>
    public ulong SourceOf(ReadOnlySpan<byte> tenantAndAddress) => KeyDigest.Compute(_secret, 0, tenantAndAddress).Low;

    /// <summary>The client asked whether the block is here.</summary>
    public void Probed(ulong source, string tenant, ReadOnlySpan<byte> key, in ContentKey parts, bool isPresent)
    {
        if (!IsTracked(key, parts, out var hash))
        {
            return;
        }

        var id = FamilyOf(source, key, parts);
        var stripe = StripeOf(id);
        lock (stripe)
        {
            var family = stripe.Family(id);
            var now = time.GetTimestamp();
            if (time.GetElapsedTime(family.ProbedAt, now) > window || family.First.Span.SequenceEqual(hash))
            {
                family.First = family.LastPresent = default;
                family.Run?.End(Demand);
            }

            family.ProbedAt = now;
            if (isPresent)
            {
                Follow(stripe, family, tenant, key, parts, isLoad: false);
                family.LastPresent = new HashField(hash);
                family.First = family.First.IsEmpty ? family.LastPresent : family.First;
                return;
            }

            family.Run?.End(Demand);

            // What is stored next belongs to this prompt. Its connections race, so another block may come before the missing
            // one; without this it would be tied to the end of the prompt before, and keep that alive.
            family.LastStored = family.LastPresent;
            family.StoredAt = now;
            stripe.RememberMiss(MissOf(id, hash), family.LastPresent);
            family.First = family.LastPresent = default;
        }
    }

    /// <summary>The client loads the block, and was given it or not.</summary>
    public void Loaded(ulong source, string tenant, ReadOnlySpan<byte> key, in ContentKey parts, bool isPresent)
    {
        if (!IsTracked(key, parts, out var hash))
        {
            return;
        }

        var id = FamilyOf(source, key, parts);
        var stripe = StripeOf(id);
        lock (stripe)
        {
            if (stripe.TryFind(id, out var family) && family.First.Span.SequenceEqual(hash))
            {
                family.First = family.LastPresent = default;
                family.Run?.End(Demand);
            }

            if (!isPresent)
            {
                if (family?.Run is { IsOfLoads: true } run)
                {
                    run.End(Demand);
                }
            }
            else if (Demand is not null && (family is null || family.ProbedAt == 0 || time.GetElapsedTime(family.ProbedAt) > LookupMemory))
            {
                Follow(stripe, family ?? stripe.Family(id), tenant, key, parts, isLoad: true);
            }
        }
    }

    /// <summary>
    /// The client stores the block. Writes the key of the block before it into <paramref name="parentKey"/>, which has the length of the longest
    /// key, and returns its length; 0 when there is none.
    /// </summary>
    public int Stored(ulong source, ReadOnlySpan<byte> key, in ContentKey parts, Span<byte> parentKey)
    {
        if (!IsTracked(key, parts, out var hash))
        {
            return 0;
        }

        var id = FamilyOf(source, key, parts);
        var stripe = StripeOf(id);
        HashField parent;
        lock (stripe)
        {
            var family = stripe.Family(id);
            var now = time.GetTimestamp();
            if (!stripe.TryRecallMiss(MissOf(id, hash), out parent))
            {
                parent = time.GetElapsedTime(family.StoredAt, now) <= window ? family.LastStored : default;
            }

            if (parent.Span.SequenceEqual(hash))
            {
                parent = default;
            }

            family.LastStored = new HashField(hash);
            family.StoredAt = now;
        }

        return parent.IsEmpty ? 0 : WriteKey(key, parts, parent.Span, parentKey);
    }

    /// <summary>Adds a block to the prompt that its family asks for. With the monitor of the stripe.</summary>
    private void Follow(ChainStripe stripe, ChainFamily family, string tenant, ReadOnlySpan<byte> key, in ContentKey parts, bool isLoad)
    {
        if (Demand is not { } demand)
        {
            return;
        }

        var hash = key[parts.Hash];
        if (family.Run is { } open && (open.IsOfLoads != isLoad || (isLoad && open.IsOf(parts) && (_isPause(open.At) || open.StartsWith(hash)))))
        {
            open.End(demand);
        }

        // A run of probes is followed from its first block or not at all.
        if (family.Run is null && (isLoad || family.First.IsEmpty) && stripe.RentRun(_isPause, demand) is { } run)
        {
            run.Begin(family, tenant, key, parts, isLoad);
        }

        if (family.Run?.IsOf(parts) == true)
        {
            family.Run.Add(hash, time.GetTimestamp());
        }
    }

    private bool IsTracked(ReadOnlySpan<byte> key, in ContentKey parts, out ReadOnlySpan<byte> hash)
    {
        hash = key[parts.Hash];
        return hash.Length is > 0 and <= HashField.MaxBytes && window > TimeSpan.Zero && parts.BaseBytes <= Limits.MaxKeyBytes;
    }

    private ChainStripe StripeOf(KeyDigest family) => _stripes[family.High % Stripes];

    /// <summary>Everything of the key but the hash and the suffix of a half, and the source.</summary>
    private KeyDigest FamilyOf(ulong source, ReadOnlySpan<byte> key, in ContentKey parts)
    {
        Span<byte> text = stackalloc byte[Limits.MaxKeyBytes + 1];
        var before = key[..parts.Hash.Start.Value];
        var after = key[parts.Hash.End.Value..parts.BaseBytes];
        before.CopyTo(text);
        text[before.Length] = 0;
        after.CopyTo(text[(before.Length + 1)..]);
        return KeyDigest.Compute(new DigestSecret(_secret.Low ^ source, _secret.High), 1, text[..(before.Length + 1 + after.Length)]);
    }

    private static KeyDigest MissOf(KeyDigest family, ReadOnlySpan<byte> hash) =>
        KeyDigest.Compute(new DigestSecret(family.Low, family.High), 2, hash);

    private static int WriteKey(ReadOnlySpan<byte> key, in ContentKey parts, ReadOnlySpan<byte> hash, Span<byte> destination)
    {
        var before = key[..parts.Hash.Start.Value];
        var after = key[parts.Hash.End.Value..];
        var length = before.Length + hash.Length + after.Length;
        if (length > destination.Length)
        {
            return 0;
        }

        before.CopyTo(destination);
        hash.CopyTo(destination[before.Length..]);
        after.CopyTo(destination[(before.Length + hash.Length)..]);
        return length;
    }
}
