using System.Text.Json;
using System.Xml.Linq;
using KvMesh.TestKit;

namespace KvMesh.Cli.Tests.Commands;

public sealed class SimulateCommandTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Prints_a_row_for_every_kind_of_fleet_and_size()
    {
        var trace = Path.Combine(_directory.Path, "trace.jsonl");
        await File.WriteAllLinesAsync(trace, Enumerable.Range(0, 40).Select(
            request => $$"""{"timestamp": {{request * 1000}}, "input_length": 1024, "output_length": 1, "hash_ids": [0, {{1 + (request % 5)}}]}"""));

        var run = await CliRun.Of("simulate", trace, "--nodes", "2,3", "--total-blocks", "12", "--json");

        Assert.Equal(0, run.ExitCode);
        var report = JsonDocument.Parse(run.Out).RootElement;
        Assert.Equal(40, report.GetProperty("requests").GetInt32());
        var rows = report.GetProperty("rows").EnumerateArray().ToArray();
        Assert.Equal(12, rows.Length);
        Assert.Equal(74.0 / 80, rows[0].GetProperty("hitRatio").GetDouble(), 6);
    }

    [Fact]
    public async Task Draws_a_line_for_every_policy_and_bound()
    {
        var trace = Path.Combine(_directory.Path, "trace.jsonl");
        var picture = Path.Combine(_directory.Path, "hits.svg");
        await File.WriteAllLinesAsync(trace, Enumerable.Range(0, 40).Select(
            request => $$"""{"timestamp": {{request * 1000}}, "input_length": 1024, "output_length": 1, "hash_ids": [0, {{1 + (request % 5)}}]}"""));

        var run = await CliRun.Of("simulate", trace, "--capacities", "2,4,6", "--policies", "lru,hazard", "--svg", picture);

        Assert.True(run.ExitCode == 0, run.Error);
        var svg = XDocument.Load(picture).Root!;
        Assert.Equal("svg", svg.Name.LocalName);
        var words = svg.Descendants().Where(element => element.Name.LocalName == "text").Select(element => element.Value).ToArray();
        Assert.Equal(["hazard", "infinite", "lru", "optimum"], words.Intersect(["lru", "hazard", "optimum", "infinite"]).Order());
        Assert.Contains("blocks", words);

        var lost = await CliRun.Of("simulate", trace, "--svg", Path.Combine(_directory.Path, "nowhere", "hits.svg"));
        Assert.Equal(1, lost.ExitCode);
        Assert.Contains("--svg ", lost.Error, StringComparison.Ordinal);
        var fleet = await CliRun.Of("simulate", trace, "--nodes", "2", "--svg", picture);
        Assert.Equal(2, fleet.ExitCode);
        Assert.Contains("--svg are of one cache", fleet.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Prints_what_the_default_policy_has_learned()
    {
        var trace = Path.Combine(_directory.Path, "trace.jsonl");
        await File.WriteAllLinesAsync(trace, Enumerable.Range(0, 40).Select(
            request => $$"""{"timestamp": {{request * 1000}}, "input_length": 1024, "output_length": 1, "hash_ids": [0, {{1 + (request % 5)}}]}"""));
        string[] arguments = ["simulate", trace, "--capacities", "4", "--policies", "lru,hazard"];

        var without = await CliRun.Of([.. arguments, "--json"]);
        var with = await CliRun.Of([.. arguments, "--json", "--hazard-table"]);
        var table = await CliRun.Of([.. arguments, "--hazard-table"]);

        Assert.Equal((0, 0, 0), (without.ExitCode, with.ExitCode, table.ExitCode));
        Assert.DoesNotContain("learned", without.Out, StringComparison.Ordinal);
        var policies = JsonDocument.Parse(with.Out).RootElement.GetProperty("policies");
        Assert.False(policies[0].TryGetProperty("learned", out _));
        var classes = policies[1].GetProperty("learned").GetProperty("classes").EnumerateArray().ToArray();

        // The first block comes back each second, the five others each fifth one: 74 times. Uses that no other block followed were not told of.
        Assert.InRange(classes.Sum(row => row.GetProperty("reuses").GetDouble()), 60, 74);
        Assert.All(classes, row => Assert.Equal(44, row.GetProperty("ages").GetArrayLength()));
        Assert.Contains("Learned with room for 4 blocks", table.Out, StringComparison.Ordinal);
        Assert.Contains("touches", table.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Says_what_each_tier_hits_and_names_what_is_wrong_with_one()
    {
        var trace = Path.Combine(_directory.Path, "trace.jsonl");
        await File.WriteAllLinesAsync(trace, Enumerable.Range(0, 40).Select(
            request => $$"""{"timestamp": {{request * 1000}}, "input_length": 1024, "output_length": 1, "hash_ids": [0, {{1 + (request % 5)}}]}"""));

        var run = await CliRun.Of("simulate", trace, "--tiers", "ram:2,disk:2:2.5", "--policies", "lru", "--json");

        Assert.True(run.ExitCode == 0, run.Error);
        var report = JsonDocument.Parse(run.Out).RootElement;
        Assert.Equal(5, report.GetProperty("tiers")[1].GetProperty("capacity").GetInt32());
        var lru = report.GetProperty("policies")[0];
        Assert.Equal(74.0 / 80, lru.GetProperty("hitRatio").GetDouble(), 6);
        Assert.Equal(2, lru.GetProperty("tierHitRatios").GetArrayLength());
        var table = await CliRun.Of("simulate", trace, "--tiers", "ram:2,redis:2");
        Assert.Contains("redis", table.Out, StringComparison.Ordinal);

        foreach (var (tiers, error) in new[]
        {
            ("disk:5", "'disk:5' is out of its order"), ("ram:2,ram:2", "'ram:2' is out of its order"), ("ram", "'ram' is no tier"), ("+1:5", "'+1:5' is no tier"),
            ("ram:0", "'0' in 'ram:0' is not a number of blocks from 1"), ("ram:2:0.5", "'0.5' in 'ram:2:0.5' is not a ratio from 1 to 64"), ("ram:2:NaN", "'NaN' in"),
        })
        {
            var wrong = await CliRun.Of("simulate", trace, "--tiers", tiers);
            Assert.Equal(2, wrong.ExitCode);
            Assert.Contains(error, wrong.Error, StringComparison.Ordinal);
        }

        var both = await CliRun.Of("simulate", trace, "--tiers", "ram:2", "--capacities", "5");
        Assert.Equal(2, both.ExitCode);
        Assert.Contains("cannot go with --tiers", both.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Slower_links_and_nodes_that_fail_cost_something()
    {
        var trace = Path.Combine(_directory.Path, "trace.jsonl");
        await File.WriteAllLinesAsync(trace, Enumerable.Range(0, 200).Select(
            request => $$"""{"timestamp": {{request * 1000}}, "input_length": 1024, "output_length": 1, "hash_ids": [{{request % 5}}, {{10 + (request % 5)}}]}"""));
        string[] fleet = ["simulate", trace, "--nodes", "4", "--total-blocks", "40", "--json"];

        const string Mesh = "mesh, round robin";
        const string Private = "private, round robin";
        var calm = await RowsAsync(fleet);
        var slowLinks = await RowsAsync([.. fleet, "--link", "1MiB"]);
        var slowEngines = await RowsAsync([.. fleet, "--compute", "1MiB"]);
        var failing = await RowsAsync([.. fleet, "--failures", "3", "--down", "30"]);

        Assert.True(slowLinks[Mesh].Wait > calm[Mesh].Wait);
        Assert.True(slowEngines[Mesh].Wait > calm[Mesh].Wait);
        Assert.Equal((calm[Mesh].Hits, calm[Mesh].Hits), (slowLinks[Mesh].Hits, slowEngines[Mesh].Hits));

        // What a node lost others have, where they share.
        Assert.True(failing[Private].Hits < calm[Private].Hits);
        Assert.True(failing[Mesh].Wait > calm[Mesh].Wait);

        var tooMany = await CliRun.Of([.. fleet, "--failures", "4"]);
        Assert.Equal(2, tooMany.ExitCode);
        Assert.Contains("--failures is 4", tooMany.Error, StringComparison.Ordinal);

        static async Task<Dictionary<string, (double Hits, double Wait)>> RowsAsync(string[] arguments)
        {
            var run = await CliRun.Of(arguments);
            Assert.True(run.ExitCode == 0, run.Error);
            return JsonDocument.Parse(run.Out).RootElement.GetProperty("rows").EnumerateArray().ToDictionary(
                row => row.GetProperty("fleet").GetString()!, row => (row.GetProperty("hitRatio").GetDouble(), row.GetProperty("meanWaitSeconds").GetDouble()));
        }
    }

    [Fact]
    public async Task Prints_what_each_policy_hits_at_each_capacity_beside_what_is_possible()
    {
        var trace = Path.Combine(_directory.Path, "trace.jsonl");
        ulong[][] chains = [[1, 2, 3], [9], [1, 2, 3]];
        await File.WriteAllLinesAsync(trace, chains.Select((chain, index) =>
            $$"""{"timestamp": {{index * 1000}}, "input_length": {{chain.Length * 512}}, "output_length": 1, "hash_ids": [{{string.Join(',', chain)}}]}"""));

        var run = await CliRun.Of("simulate", trace, "--capacities", "3,4", "--policies", "LRU", "--json");

        Assert.True(run.ExitCode == 0, run.Error);
        var report = JsonDocument.Parse(run.Out).RootElement;
        Assert.Equal((7, 4), (report.GetProperty("askedBlocks").GetInt32(), report.GetProperty("distinctBlocks").GetInt32()));
        Assert.Equal([3, 3], report.GetProperty("optimum").EnumerateArray().Select(row => row.GetProperty("hits").GetInt32()));
        var rows = report.GetProperty("policies").EnumerateArray().ToArray();
        Assert.Equal([("lru", 3, 2), ("lru", 4, 3)], rows.Select(row =>
            (row.GetProperty("policy").GetString()!, row.GetProperty("capacity").GetInt32(), row.GetProperty("hits").GetInt32())));
        Assert.Equal(1.0 / 7, rows[0].GetProperty("regret").GetDouble(), 9);
    }

    [Fact]
    public async Task A_generated_trace_is_one_that_simulate_reads()
    {
        var made = await CliRun.Of("trace", "--requests", "200", "--tenants", "2", "--seed", "5");
        var again = await CliRun.Of("trace", "--requests", "200", "--tenants", "2", "--seed", "5");
        var trace = Path.Combine(_directory.Path, "trace.jsonl");
        await File.WriteAllTextAsync(trace, made.Out);

        var run = await CliRun.Of("simulate", trace);

        Assert.Equal((0, 0), (made.ExitCode, run.ExitCode));
        Assert.Equal(made.Out, again.Out);
        Assert.Contains("200 requests ask for ", run.Out, StringComparison.Ordinal);
        Assert.Contains("optimum", run.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--capacities 10 --nodes 2", "--capacities, --policies, --tiers, --hazard-table and --svg are of one cache; they cannot go with --nodes.")]
    [InlineData("--tiers ram:5 --hazard-table", "--capacities, --hazard-table and --svg are of one tier; they cannot go with --tiers.")]
    [InlineData("--policies lru,arc --hazard-table", "--hazard-table is what hazard has learned; --policies is 'lru,arc' and must name it.")]
    [InlineData("--failures 1", "--failures describes fleets; it needs --nodes.")]
    [InlineData("--capacities 10,0", "--capacities: '0' is not a number of blocks from 1 to 100000000.")]
    [InlineData("--policies lru,clairvoyant", "--policies: 'clairvoyant' is no policy; there are ")]
    public async Task A_command_line_that_contradicts_itself_is_told_why(string arguments, string expected)
    {
        var trace = Path.Combine(_directory.Path, "trace.jsonl");
        await File.WriteAllTextAsync(trace, "");

        var run = await CliRun.Of(["simulate", trace, .. arguments.Split(' ')]);

        Assert.Equal(2, run.ExitCode);
        Assert.Contains(expected, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Shares_beyond_the_whole_are_refused()
    {
        var run = await CliRun.Of("trace", "--agents", "0.6", "--documents", "0.5");

        Assert.Equal(2, run.ExitCode);
        Assert.Contains("--agents and --documents are 1.1 together", run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Out);
    }

    [Fact]
    public async Task Scans_and_phases_come_from_the_command_line()
    {
        string[] arguments = ["trace", "--requests", "300", "--seed", "5"];
        var calm = await CliRun.Of(arguments);
        var scanned = await CliRun.Of([.. arguments, "--scans", "10,20", "--scan-prompts", "20", "--scan-tokens", "777", "--scan-rate", "100"]);
        var changed = await CliRun.Of([.. arguments, "--phases", "30", "--phase-share", "0.5"]);

        Assert.Equal((0, 0, 0), (calm.ExitCode, scanned.ExitCode, changed.ExitCode));
        Assert.Equal(40, scanned.Out.Split('\n').Count(line => line.Contains("\"input_length\": 777,", StringComparison.Ordinal)));
        Assert.NotEqual(calm.Out, changed.Out);
    }

    [Theory]
    [InlineData("--scan-tokens 5", "--scan-tokens describes scans; it needs --scans.")]
    [InlineData("--phase-share 0.5", "--phase-share describes phases; it needs --phases.")]
    [InlineData("--scans 5,x", "--scans: 'x' is not a number of seconds from 0 to 1000000000.")]
    public async Task A_scan_or_phase_that_cannot_be_is_refused(string arguments, string expected)
    {
        var run = await CliRun.Of(["trace", .. arguments.Split(' ')]);

        Assert.Equal(2, run.ExitCode);
        Assert.Contains(expected, run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Out);
    }

    [Theory]
    [InlineData("0")]
    [InlineData("10,")]
    [InlineData("5000")]
    public async Task Refuses_a_number_of_nodes_out_of_range(string nodes)
    {
        var trace = Path.Combine(_directory.Path, "trace.jsonl");
        await File.WriteAllTextAsync(trace, "");

        var run = await CliRun.Of("simulate", trace, "--nodes", nodes);

        Assert.Equal(2, run.ExitCode);
        Assert.Contains("1 to 2000", run.Error, StringComparison.Ordinal);
    }
}
