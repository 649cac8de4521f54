using System.Text.Json;
using System.Text.RegularExpressions;
using KvMesh.Client;
using KvMesh.Protocol.Admin;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;
using KvMesh.TestKit.Sequences;

namespace KvMesh.Server.Tests;

/// <summary>
/// Every expression of the Grafana dashboards and of the alert rules, asked of a real Prometheus that scrapes a mesh: it can be evaluated, and
/// every metric and every label in it is one that nodes have.
/// </summary>
public sealed partial class ObservedExpressionTests : IDisposable
{
    private static readonly string Deploy = Path.Combine(SourceTree.Root, "deploy");
    private static readonly string[] Dashboards = Directory.GetFiles(Path.Combine(Deploy, "grafana"), "*.json");

    /// <summary>Variables of Grafana, and something in their places that fits.</summary>
    private static readonly (string Name, string Value)[] Variables = [("$__rate_interval", "1m"), ("$job", "kvmesh"), ("$nodes", ".+"), ("instance=\"$instance\"", "instance=~\".+\"")];

    private readonly TemporaryDirectory _directory = new();

    [Fact]
    public async Task Every_expression_can_be_asked_and_names_what_nodes_have()
    {
        await using var redis = await RestartableRedis.StartAsync();
        await using var one = await StartAsync("one", redis);
        await using var two = await StartAsync("two", redis);
        await one.RespAsync("SET a hello\r\nGET a\r\nGET b\r\n", 5 + 11 + 5);
        await AskTheMapAsync(one);
        var port = FreePort.Next();
        await using var prometheus = ChildProcess.Start(
            "/usr/bin/prometheus",
            [$"--config.file={WriteConfiguration(one, two)}", $"--storage.tsdb.path={_directory.Path}/data", $"--web.listen-address=127.0.0.1:{port}"]);
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = Eventually.Patience };
        await ScrapesBothAsync(http);

        var expressions = Dashboards.SelectMany(Expressions).Concat(await RulesAsync(http)).Distinct().ToList();
        Assert.True(expressions.Count > 80, $"Only {expressions.Count} expressions were found.");
        await HasAllAsync(one, [.. expressions.SelectMany(Names).Where(name => name != "up").Distinct()]);
        var labels = new Dictionary<string, HashSet<string>>();
        foreach (var expression in expressions)
        {
            using var answer = await http.GetAsync(Query("query", ("query", expression)));
            Assert.True(answer.IsSuccessStatusCode, $"Prometheus cannot evaluate {expression}: {await answer.Content.ReadAsStringAsync()}");
            foreach (var name in Names(expression))
            {
                if (!labels.TryGetValue(name, out var known))
                {
                    labels[name] = known = await LabelsAsync(http, name);
                }
            }

            // A metric that nobody has a series of yet cannot say which labels it has.
            var all = Names(expression).SelectMany(name => labels[name]).ToHashSet();
            if (Names(expression).All(name => labels[name].Count > 0))
            {
                Assert.All(Labels(expression), label => Assert.True(all.Contains(label), $"Nothing has the label {label}, which is in: {expression}"));
            }
        }

        Assert.True(labels.Count > 50, $"Only {labels.Count} metrics were found in the expressions.");
    }

    [Fact]
    public void Dashboards_name_their_panels_and_each_is_found_by_its_own_id()
    {
        var ids = new List<string>();
        foreach (var path in Dashboards)
        {
            using var dashboard = JsonDocument.Parse(File.ReadAllText(path));
            ids.Add(dashboard.RootElement.GetProperty("uid").GetString()!);
            var panels = dashboard.RootElement.GetProperty("panels").EnumerateArray().ToList();
            Assert.Equal(panels.Count, panels.Select(panel => panel.GetProperty("id").GetInt32()).Distinct().Count());
            Assert.All(panels, panel => Assert.NotEmpty(panel.GetProperty("title").GetString()!));
            Assert.All(panels, panel => Assert.True(
                panel.GetProperty("gridPos").GetProperty("x").GetInt32() + panel.GetProperty("gridPos").GetProperty("w").GetInt32() <= 24, "A panel is wider than the page."));
        }

        Assert.Equal(["kvmesh-mesh", "kvmesh-node"], ids.Order());
        Assert.Equal(Dashboards.Select(Path.GetFileNameWithoutExtension).Order(), ids.Order());
    }

    public void Dispose() => _directory.Dispose();

    /// <summary>Some metrics are there once something has happened for the first time, as a plan, which a busy machine may take a while to come to.</summary>
    private static Task HasAllAsync(TestNode node, IReadOnlyList<string> names)
    {
        var missing = names;
        return Eventually.Holds(
            async () =>
            {
                var families = FamilyName().Matches(await node.Http.GetStringAsync(AdminRoutes.Metrics)).Select(match => match.Groups[1].Value).ToHashSet();
                missing = [.. names.Where(name => !families.Contains(name) && !families.Contains(HistogramPart().Replace(name, "")))];
                return missing.Count == 0;
            },
            () => $"metrics that are in expressions and that no node has: {string.Join(", ", missing)}");
    }

    /// <summary>A histogram is there once it has measured something.</summary>
    private static async Task AskTheMapAsync(TestNode node)
    {
        await using var client = await KvMeshClient.ConnectAsync(
            new ClientOptions { Endpoint = $"tcp://{node.Node.Endpoints.Native}", AllowSharedMemory = false, RequestTimeout = Eventually.Patience, ConnectTimeout = Eventually.Patience }, CancellationToken.None);
        await Eventually.Holds(
            async () =>
            {
                await client.MatchPrefixAsync(SequenceCommands.Scope, TestBytes.Hash(7, 1), TimeSpan.FromSeconds(1), CancellationToken.None);
                return (await node.Http.GetStringAsync(AdminRoutes.Metrics)).Contains("kvmesh_map_match_duration_seconds_count", StringComparison.Ordinal);
            },
            "a question to the block map in the figures");
    }

    private static Task<TestNode> StartAsync(string id, RestartableRedis redis) => TestNode.StartAsync(options =>
    {
        options.Mesh.NodeId = id;
        options.Mesh.Redis = redis.Address;
        options.Mesh.RedisBlocks.Address = redis.Address;
        options.Mesh.FailureTime = TimeSpan.FromSeconds(60);
    });

    private string WriteConfiguration(params TestNode[] nodes)
    {
        var path = Path.Combine(_directory.Path, "prometheus.yml");
        File.WriteAllText(path, $"""
            global:
              scrape_interval: 1s
              scrape_timeout: 1s
            scrape_configs:
              - job_name: kvmesh
                static_configs:
                  - targets: [{string.Join(", ", nodes.Select(node => $"\"{node.Node.Endpoints.Http.Authority}\""))}]
            rule_files: [{string.Join(", ", AlertRuleTests.RuleFiles.Select(file => $"\"{file}\""))}]
            """);
        return path;
    }

    private static Task ScrapesBothAsync(HttpClient http) => Eventually.Holds(
        async () =>
        {
            try
            {
                using var answer = JsonDocument.Parse(await http.GetStringAsync(Query("query", ("query", "count(kvmesh_node_ready == 1)"))));
                return answer.RootElement.GetProperty("data").GetProperty("result") is var result
                    && result.GetArrayLength() == 1 && result[0].GetProperty("value")[1].GetString() == "2";
            }
            catch (HttpRequestException)
            {
                // It is still starting.
                return false;
            }
        },
        "both nodes scraped by Prometheus");

    private static IEnumerable<string> Expressions(string path)
    {
        using var dashboard = JsonDocument.Parse(File.ReadAllText(path));
        return
        [
            .. dashboard.RootElement.GetProperty("panels").EnumerateArray()
                .Where(panel => panel.GetProperty("type").GetString() != "row")
                .SelectMany(panel => panel.GetProperty("targets").EnumerateArray())
                .Select(target => Variables.Aggregate(target.GetProperty("expr").GetString()!, (text, variable) => text.Replace(variable.Name, variable.Value, StringComparison.Ordinal))),
        ];
    }

    private static async Task<IEnumerable<string>> RulesAsync(HttpClient http)
    {
        using var answer = JsonDocument.Parse(await http.GetStringAsync(new Uri("/api/v1/rules", UriKind.Relative)));
        return
        [
            .. answer.RootElement.GetProperty("data").GetProperty("groups").EnumerateArray()
                .SelectMany(group => group.GetProperty("rules").EnumerateArray())
                .Select(rule => rule.GetProperty("query").GetString()!),
        ];
    }

    private static async Task<HashSet<string>> LabelsAsync(HttpClient http, string name)
    {
        using var answer = JsonDocument.Parse(await http.GetStringAsync(Query("series", ("match[]", name))));
        return [.. answer.RootElement.GetProperty("data").EnumerateArray().SelectMany(series => series.EnumerateObject()).Select(label => label.Name)];
    }

    private static IEnumerable<string> Names(string expression) =>
        MetricName().Matches(Grouping().Replace(Braces().Replace(expression, ""), "")).Select(match => match.Value);

    private static IEnumerable<string> Labels(string expression) =>
        Braces().Matches(expression).SelectMany(braces => Matcher().Matches(braces.Value)).Select(match => match.Groups[1].Value)
            .Concat(Grouping().Matches(expression).SelectMany(match => match.Groups[1].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)));

    private static Uri Query(string path, params (string Name, string Value)[] fields) =>
        new($"/api/v1/{path}?{string.Join('&', fields.Select(field => $"{Uri.EscapeDataString(field.Name)}={Uri.EscapeDataString(field.Value)}"))}", UriKind.Relative);

    [GeneratedRegex(@"^# TYPE (\w+) ", RegexOptions.Multiline)]
    private static partial Regex FamilyName();

    [GeneratedRegex(@"_(?:bucket|sum|count)$")]
    private static partial Regex HistogramPart();

    [GeneratedRegex(@"\b(?:up|(?:kvmesh|dotnet|http|kestrel|target)_\w+)\b")]
    private static partial Regex MetricName();

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Braces();

    [GeneratedRegex(@"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")]
    private static partial Regex Grouping();

    [GeneratedRegex(@"(\w+)\s*(?:=~|!~|!=|=)")]
    private static partial Regex Matcher();
}
