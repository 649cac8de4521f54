using KvMesh.Dashboard.Capacity;
using KvMesh.Dashboard.Feed;
using KvMesh.Protocol.Admin;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace KvMesh.System.Tests.Dashboard.Units;

public sealed class CapacityTests
{
    [Theory]
    [InlineData("?ram=64&disk=0.5&codec=3.5", 64L << 30, 512L << 20, 3.5)]
    [InlineData("?ram=1e3", 1000L << 30, 0, 1)]
    [InlineData("", 0, 0, 1)]
    [InlineData("?ram=-1&disk=1e300&codec=0.5", 0, 0, 1)]
    [InlineData("?ram=NaN&disk=much&codec=101", 0, 0, 1)]
    public void A_change_is_what_a_node_takes(string query, long ram, long disk, double codec) =>
        Assert.Equal(new CapacityChange(ram, disk, codec), ChangeOf(query));

    [Theory]
    [InlineData(1, 0, 1)]
    [InlineData(12_345_678_901, 1L << 50, 3.14)]
    public void A_link_asks_for_the_same_change_again(long ram, long disk, double codec)
    {
        var change = new CapacityChange(ram, disk, codec);

        Assert.Equal(change, ChangeOf(CapacityLinks.QueryOf(change)));
        Assert.Equal(CapacityLinks.Address, CapacityLinks.Of(CapacityChange.None));
    }

    [Fact]
    public void Sizes_are_marked_where_they_lie_and_only_those_that_there_are()
    {
        var advice = Advice(hostBytes: 4 << 20, diskBytes: 0, moreHost: 0, codec: 1);
        var one = Assert.Single(CurveModel.From(advice, advice.All).Marks);
        Assert.Equal(("RAM", 0.5), (one.Name, Math.Round(one.At, 9)));

        advice = Advice(hostBytes: 1 << 20, diskBytes: 1 << 20, moreHost: 2 << 20, codec: 4);
        Assert.Equal([("RAM", 0), ("and disk", 0.25), ("then", 1)], CurveModel.From(advice, advice.All).Marks.Select(mark => (mark.Name, Math.Round(mark.At, 9))));
    }

    [Fact]
    public void What_is_not_found_is_missed_and_nothing_asked_is_no_curve()
    {
        var advice = Advice(hostBytes: 4 << 20, diskBytes: 0, moreHost: 0, codec: 1);

        Assert.Equal([1.0, 0.75, 0.5], CurveModel.From(advice, advice.All).Misses);
        Assert.True(CurveModel.From(advice, advice.All with { Touches = 0 }).IsEmpty);
    }

    private static CapacityChange ChangeOf(string query) => CapacityLinks.ChangeOf(new QueryCollection(QueryHelpers.ParseQuery(query)));

    private static AdviceStatus Advice(long hostBytes, long diskBytes, long moreHost, double codec) => new(
        hostBytes, diskBytes, moreHost, 0, codec, 100, 1, [1 << 20, 4 << 20, 16 << 20], new AdviceShares(10, 10, 0, 0.25, 0.25, 0.25, 0.25, 0.5, [0, 0.25, 0.5]), []);
}
