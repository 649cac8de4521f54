using KvMesh.Engine.Advice;
using KvMesh.Engine.Blocks;
using KvMesh.Simulation.Traces;

namespace KvMesh.Engine.Tests.Advice;

/// <summary>
/// A trace as an advisor and the exact curve see it, in the order in which a node tells: a prompt's blocks are looked for, the last one first, then those that nobody
/// had are stored, the first one first. Tenants have blocks of different sizes. Time stands still, so that no touch weighs less than another.
/// </summary>
internal sealed class AdviceTrial
{
    private const int SmallestBlockBytes = 256 * 1024;
    private const int Sizes = 100;

    private AdviceTrial(CapacityAdvisor advisor, ExactReuse exact, Dictionary<string, TenantReuse> tenants)
    {
        Advisor = advisor;
        DistinctBlocks = exact.DistinctBlocks;
        Touches = exact.All().Touches;

        // From a hundredth of all blocks to all of them, each size a little more than the one before: small caches matter as much as large ones.
        CacheBytes = [.. Enumerable.Range(0, Sizes).Select(step => exact.DistinctBytes * Math.Pow(100, (step + 1.0 - Sizes) / (Sizes - 1)))];
        var reuse = advisor.Estimate(CacheBytes);
        Rate = reuse.Rate;
        All = AdviceError.Of(exact.All(), reuse.All, CacheBytes);
        double[] even = [.. Enumerable.Range(1, Sizes).Select(step => exact.DistinctBytes * (double)step / Sizes)];
        Even = AdviceError.Of(exact.All(), advisor.Estimate(even).All, even);
        Tenants = tenants.ToDictionary(pair => pair.Key, pair => AdviceError.Of(exact.Of(pair.Key), reuse.Tenants[pair.Value], CacheBytes));
    }

    public CapacityAdvisor Advisor { get; }

    public double[] CacheBytes { get; }

    public int DistinctBlocks { get; }

    public int Touches { get; }

    /// <summary>Share of blocks that were sampled in the end.</summary>
    public double Rate { get; }

    /// <summary>All tenants together.</summary>
    public AdviceError All { get; }

    /// <summary>The same over sizes that rise by equal steps.</summary>
    public AdviceError Even { get; }

    public IReadOnlyDictionary<string, AdviceError> Tenants { get; }

    public static AdviceTrial Of(IReadOnlyList<PromptRequest> requests)
    {
        var advisor = new CapacityAdvisor(new StillTime());
        var exact = new ExactReuse(2 * requests.Sum(request => request.FullBlocks));
        var tenants = new Dictionary<string, TenantReuse>();
        var buffer = Array.Empty<byte>();
        foreach (var request in requests)
        {
            if (!tenants.TryGetValue(request.Tenant, out var tenant))
            {
                tenants.Add(request.Tenant, tenant = advisor.Join());
            }

            var scope = ScopeOf(request.Tenant);
            var keys = new KeyRun([], request.HashInto(ref buffer).Span);
            advisor.Touch(tenant, scope, keys, found: 0, bytesHere: 0);
            var known = 0;
            for (var index = keys.Count - 1; index >= 0; index--)
            {
                known += exact.Touch(KeyHash.Of(scope, keys.Hash(index)), request.Tenant) ? 1 : 0;
            }

            for (var index = known; index < keys.Count; index++)
            {
                var hash = KeyHash.Of(scope, keys.Hash(index));
                var bytes = SmallestBlockBytes << (int)(scope % 3);
                exact.Place(hash, bytes);
                advisor.Place(hash, bytes);
            }
        }

        return new AdviceTrial(advisor, exact, tenants);
    }

    private static ulong ScopeOf(string tenant)
    {
        var scope = 14695981039346656037UL;
        foreach (var character in tenant)
        {
            scope = (scope ^ character) * 1099511628211UL;
        }

        return scope;
    }

    private sealed class StillTime : TimeProvider
    {
        public override long GetTimestamp() => 0;
    }
}

/// <summary>How far an estimated curve is from the exact one, in shares of what was asked.</summary>
/// <param name="Margin">How far the advisor says that it may be.</param>
/// <param name="Mean">Over all sizes.</param>
internal sealed record AdviceError(int Touches, double Margin, double Mean, double Largest)
{
    public static AdviceError Of(ExactCurve exact, ReuseEstimate estimate, double[] cacheBytes)
    {
        double[] errors = [.. cacheBytes.Zip(estimate.HitRatios, (bytes, ratio) => Math.Abs(exact.HitRatioAt(bytes) - ratio))];
        return new AdviceError(exact.Touches, estimate.Margin, errors.Average(), errors.Max());
    }
}
