using KvMesh.Engine.Advice;
using KvMesh.Simulation.Traces;

namespace KvMesh.Engine.Tests.Advice;

/// <summary>
/// The advisor that ships, beside the exact curve, on generated traces and at sizes from a hundredth of all blocks to all of them. The limits are what was measured, and a little more.
/// </summary>
public sealed class AdviceAccuracyTests
{
    private static readonly int[] Seeds = [1, 2, 3, 4];

    [Theory]
    [InlineData(64, 1, 0.001, 0.002)]
    [InlineData(300, 1, 0.014, 0.022)]
    [InlineData(1_500, 1, 0.022, 0.044)]
    [InlineData(1_500, 8, 0.013, 0.022)]
    [InlineData(12_000, 1, 0.006, 0.008)]
    [InlineData(12_000, 8, 0.011, 0.017)]
    public void The_curve_of_all_tenants_is_close_to_the_exact_one(int requests, int tenants, double meanError, double worstMeanError)
    {
        double[] errors = [.. Trials(requests, tenants).Select(trial => trial.All.Mean)];

        Assert.InRange(errors.Average(), 0, meanError);
        Assert.InRange(errors.Max(), 0, worstMeanError);
    }

    [Fact]
    public void The_curves_of_tenants_are_within_their_margins_in_nine_of_ten_cases()
    {
        double[] ratios =
        [
            .. Trials(1_500, 8).Concat(Trials(3_000, 20)).Concat(Trials(12_000, 8)).SelectMany(trial => trial.Tenants.Values).Select(error => error.Mean / error.Margin),
        ];

        Assert.InRange(ratios.Count(ratio => ratio <= 1), ratios.Length * 9 / 10, ratios.Length);

        // A margin that is much too wide would tell as little as one that is too narrow.
        Assert.InRange(ratios.Average(), 0.3, 1);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(CapacityAdvisor.MaxTenantCurves + 100)]
    public void A_tenant_costs_no_more_than_a_mebibyte_however_much_is_asked(int tenants)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var advisor = new CapacityAdvisor(TimeProvider.System);
        var places = new TenantReuse[tenants];
        for (var tenant = 0; tenant < tenants; tenant++)
        {
            places[tenant] = advisor.Join();
        }

        var random = new Random(1);
        for (var touch = 0; touch < 200_000; touch++)
        {
            var hash = (ulong)random.NextInt64() << 1;
            advisor.Touch(places[touch % tenants], hash);
            advisor.Place(hash, 65_536);
        }

        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.InRange(allocated, 1, tenants * (1L << 20));
        Assert.InRange(allocated, 1, 2 << 20);
        Assert.InRange(advisor.MemoryBytes, allocated * 0.95, allocated);
    }

    private static IEnumerable<AdviceTrial> Trials(int requests, int tenants) =>
        Seeds.Select(seed => AdviceTrial.Of(FleetTrace.Generate(new FleetTraceOptions { Seed = seed, Requests = requests, Tenants = tenants })));
}
