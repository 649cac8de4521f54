using System.Text.RegularExpressions;
using KvMesh.Protocol.Admin;
using KvMesh.Server.Options;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests;

/// <summary>The manual names every option and every figure of a real node, and no option that is gone.</summary>
public sealed partial class OperatingManualTests
{
    private static readonly string Manual = File.ReadAllText(Path.Combine(SourceTree.Root, "docs", "OPERATING.md"));

    [Fact]
    public void Every_option_is_in_the_manual()
    {
        var options = new NodeOptions();
        options.Engine.Tenants.Add(new Engine.TenantOptions());
        options.Codecs.Rules.Add(new CodecRuleOptions());
        var names = OptionBinder.Leaves(options).Select(leaf => leaf.Name.Replace(":0:", ":n:", StringComparison.Ordinal));

        Assert.All(names, name => Assert.Contains($"`{name}`", Manual, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_option_of_the_manual_exists()
    {
        var options = new NodeOptions();
        options.Engine.Tenants.Add(new Engine.TenantOptions());
        options.Codecs.Rules.Add(new CodecRuleOptions());
        var names = OptionBinder.Leaves(options).Select(leaf => leaf.Name.Replace(":0:", ":n:", StringComparison.Ordinal)).ToHashSet();

        Assert.All(OptionName().Matches(Manual).Select(match => match.Groups[1].Value), name => Assert.Contains(name, names));
    }

    [Fact]
    public async Task Every_figure_of_a_node_is_in_the_manual()
    {
        await using var node = await TestNode.StartAsync();
        var text = await node.Http.GetStringAsync(AdminRoutes.Metrics);
        var names = MetricName().Matches(text).Select(match => match.Groups[1].Value).ToList();

        Assert.True(names.Count > 40, $"Only {names.Count} figures were found.");
        Assert.All(names, name => Assert.Contains($"`{name}`", Manual, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Every_figure_of_a_Redis_tier_is_in_the_manual()
    {
        // Nobody listens there: the node serves without the tier, and its figures say so.
        await using var node = await TestNode.StartAsync(options => options.Mesh.RedisBlocks.Address = "/nowhere/redis.sock");
        var text = await node.Http.GetStringAsync(AdminRoutes.Metrics);
        var names = MetricName().Matches(text).Select(match => match.Groups[1].Value)
            .Where(name => name.StartsWith("kvmesh_redis_", StringComparison.Ordinal)).ToList();

        Assert.True(names.Count > 10, $"Only {names.Count} figures were found.");
        Assert.All(names, name => Assert.Contains($"`{name}`", Manual, StringComparison.Ordinal));
    }

    [GeneratedRegex(@"`((?:Http|Native|Resp|Unix|Net|Mesh|Sequences|Placement|Access|Engine|Codecs|Telemetry|Log):[A-Za-z:]+)`")]
    private static partial Regex OptionName();

    [GeneratedRegex(@"^# TYPE (kvmesh_\w+) ", RegexOptions.Multiline)]
    private static partial Regex MetricName();
}
