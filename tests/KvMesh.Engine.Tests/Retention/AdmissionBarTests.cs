using KvMesh.Engine.Retention;

namespace KvMesh.Engine.Tests.Retention;

public sealed class AdmissionBarTests
{
    [Fact]
    public void Before_anything_left_all_is_taken_that_is_worth_a_write()
    {
        var bar = new AdmissionBar();

        Assert.True(bar.Takes(AdmissionBar.LeastUses));
        Assert.True(bar.Keeps(AdmissionBar.LeastUses));
        Assert.True(bar.IsWorthAWrite(AdmissionBar.LeastUses));
        Assert.False(bar.Takes(AdmissionBar.LeastUses / 2));
        Assert.False(bar.Keeps(AdmissionBar.LeastUses / 2));
        Assert.False(bar.IsWorthAWrite(AdmissionBar.LeastUses / 2));
    }

    [Fact]
    public void A_full_tier_takes_what_is_likelier_than_what_left_and_keeps_what_is_three_times_as_likely()
    {
        var bar = AfterManyLeft(0.4);

        Assert.True(bar.Takes(0.41));
        Assert.False(bar.Takes(0.38));
        Assert.True(bar.Keeps(1.21));
        Assert.False(bar.Keeps(1.15));
    }

    [Fact]
    public void Where_room_is_not_known_an_eighth_of_that_is_enough()
    {
        var bar = AfterManyLeft(0.4);

        Assert.True(bar.IsWorthAWrite(0.06));
        Assert.False(bar.IsWorthAWrite(0.04));
    }

    [Fact]
    public void What_left_long_ago_counts_for_nothing()
    {
        var bar = AfterManyLeft(3);
        Leave(bar, 0.1);

        Assert.True(bar.Takes(0.11));
        Assert.False(bar.Takes(0.09));
    }

    private static AdmissionBar AfterManyLeft(double expectedUses)
    {
        var bar = new AdmissionBar();
        Leave(bar, expectedUses);
        return bar;
    }

    private static void Leave(AdmissionBar bar, double expectedUses)
    {
        for (var left = 0; left < 10_000; left++)
        {
            bar.NoteLeft(expectedUses);
        }
    }
}
