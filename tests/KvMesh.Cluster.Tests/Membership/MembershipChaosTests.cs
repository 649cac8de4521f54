namespace KvMesh.Cluster.Tests.Membership;

public sealed class MembershipChaosTests
{
    /// <summary>Nodes die, pause and return and the store falls silent, by seed. Who lives is never taken away; in the end all agree.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(20261122)]
    public async Task Whatever_happens_the_living_are_kept_and_the_dead_go(int seed)
    {
        var random = new Random(seed);
        await using var script = new ClusterScript().With(12);
        await script.PassAsync(TimeSpan.FromSeconds(5));
        var names = Enumerable.Range(0, 12).Select(i => $"n{i}").ToArray();
        var silentSteps = 0;

        for (var step = 0; step < 1500; step++)
        {
            var alive = script.Nodes.Where(node => node.IsAlive).ToList();
            if (random.Next(60) == 0 && alive.Count > 6)
            {
                alive[random.Next(alive.Count)].IsAlive = false;
            }

            if (random.Next(40) == 0 && names.FirstOrDefault(name => alive.All(node => node.Membership.Self.Value != name)) is { } dead)
            {
                script.Add(dead);
            }

            silentSteps = random.Next(150) == 0 ? random.Next(1, 60) : Math.Max(0, silentSteps - 1);
            script.IsStoreSilent = silentSteps > 0;
            await script.StepAsync();
            AssertLivingAreSeen(script, seed, step);
        }

        script.IsStoreSilent = false;
        await script.PassAsync(TimeSpan.FromMinutes(1));
        var expected = string.Join(',', script.Nodes.Where(node => node.IsAlive).Select(node => node.Membership.Self.Value).Order(StringComparer.Ordinal));
        Assert.All(script.Nodes.Where(node => node.IsAlive), node => Assert.Equal(expected, node.Sees));
    }

    private static void AssertLivingAreSeen(ClusterScript script, int seed, int step)
    {
        var members = script.Nodes.Where(node => node.IsAlive && node.Membership.Standing.Incarnation > 0).ToList();
        foreach (var observer in members.Where(node => node.Membership.Current.Nodes.Length > 1))
        {
            // A run that joined in this very step, or while this observer could not read, is news that comes with its next beat.
            var known = members.Where(other => observer.Membership.Current.Find(other.Membership.Self) is null && other.Membership.Figures.StoreAnswers > 2).ToList();
            Assert.True(
                known.Count == 0 || script.IsStoreSilent,
                $"Seed {seed}, step {step}: {observer.Membership.Self} sees {observer.Sees}, without {string.Join(',', known.Select(node => node.Membership.Self))}.");
        }
    }
}
