using System.Text.RegularExpressions;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests;

/// <summary>The alert rules for operators, as promtool reads them.</summary>
public sealed partial class AlertRuleTests
{
    private static readonly string Deploy = Path.Combine(SourceTree.Root, "deploy");
    private static readonly string Tests = Path.Combine(SourceTree.Root, "infra", "alerts");

    public static IReadOnlyList<string> RuleFiles { get; } = Directory.GetFiles(Deploy, "*-alerts.yml");

    [Fact]
    public async Task Promtool_accepts_the_rules_and_their_tests_pass()
    {
        var (exitCode, output, error) = await ChildProcess.RunAsync("/usr/bin/promtool", ["check", "rules", .. RuleFiles], Eventually.Patience);
        Assert.True(exitCode == 0, $"promtool check rules ended with {exitCode}: {output}{error}");

        (exitCode, output, error) = await ChildProcess.RunAsync(
            "/usr/bin/promtool", ["test", "rules", .. Directory.GetFiles(Tests, "*.test.yml")], Eventually.Patience);
        Assert.True(exitCode == 0, $"promtool test rules ended with {exitCode}: {output}{error}");
    }

    [Fact]
    public void Every_alert_is_tested_says_what_it_is_and_is_in_the_manual()
    {
        var manual = File.ReadAllText(Path.Combine(SourceTree.Root, "docs", "OPERATING.md"));
        var tests = string.Concat(Directory.GetFiles(Tests, "*.test.yml").Select(File.ReadAllText));
        var rules = string.Concat(RuleFiles.Select(File.ReadAllText));
        var alerts = AlertName().Matches(rules).Select(match => match.Groups[1].Value).ToList();

        Assert.True(alerts.Count > 15, $"Only {alerts.Count} alerts were found.");
        Assert.Equal(alerts.Count, alerts.Distinct().Count());
        Assert.Equal(alerts.Count, Severity().Count(rules));
        Assert.Equal(alerts.Count, Summary().Count(rules));
        Assert.All(alerts, alert =>
        {
            Assert.Contains($"`{alert}`", manual, StringComparison.Ordinal);
            Assert.Matches($@"alertname: {alert}\n\s+exp_alerts: \[\]", tests);
            Assert.Matches($@"alertname: {alert}\n\s+exp_alerts:\n\s+- exp_labels", tests);
        });
        Assert.All(ManualAlert().Matches(manual).Select(match => match.Groups[1].Value), alert => Assert.Contains(alert, alerts));
    }

    [GeneratedRegex(@"^\s+- alert: (\w+)$", RegexOptions.Multiline)]
    private static partial Regex AlertName();

    [GeneratedRegex(@"severity: (?:page|ticket) }")]
    private static partial Regex Severity();

    [GeneratedRegex(@"^\s+summary: ""[^""]+", RegexOptions.Multiline)]
    private static partial Regex Summary();

    [GeneratedRegex(@"^\| `(KvMesh\w+)`", RegexOptions.Multiline)]
    private static partial Regex ManualAlert();
}
