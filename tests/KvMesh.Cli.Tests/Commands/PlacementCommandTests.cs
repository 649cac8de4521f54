using System.Text.Json;
using KvMesh.Gateway.Tests.Http;

namespace KvMesh.Cli.Tests.Commands;

/// <summary><c>kvmesh orders</c> and <c>kvmesh drain</c> against the HTTP door of a node.</summary>
public sealed class PlacementCommandTests : IAsyncLifetime
{
    private readonly ScriptedDesk _desk = new();
    private PlacementDoor _door = null!;
    private string _node = "";

    public async Task InitializeAsync()
    {
        _door = await PlacementDoor.OpenAsync(_desk);
        _node = $"{_door.Client().BaseAddress}";
    }

    public async Task DisposeAsync() => await _door.DisposeAsync();

    [Theory]
    [InlineData("orders")]
    [InlineData("orders list")]
    public async Task Orders_are_shown_with_reason_and_price(string command)
    {
        var run = await RunAsync(command);

        Assert.Equal(0, run.ExitCode);
        foreach (var expected in new[] { "planned by n1", "replicate", "n1", "n2", "500 ms / 4 s", "budget", "asked for" })
        {
            Assert.Contains(expected, run.Out, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Orders_and_plans_are_one_json_object_for_scripts()
    {
        var list = await JsonAsync("orders --json --count 1");
        var plan = await JsonAsync("orders plan --json");
        var cancelled = await JsonAsync("orders cancel 2 --json");

        Assert.Equal(2, Assert.Single(list.GetProperty("orders").EnumerateArray()).GetProperty("id").GetInt64());
        Assert.Equal("planned", Assert.Single(plan.GetProperty("orders").EnumerateArray()).GetProperty("state").GetString());
        Assert.Equal(("cancel", 2), (cancelled.GetProperty("action").GetString(), cancelled.GetProperty("id").GetInt32()));
    }

    [Fact]
    public async Task A_pause_shows_until_it_is_resumed_and_is_in_the_audit()
    {
        Assert.Contains("nothing is ordered", (await RunAsync("orders pause")).Error, StringComparison.Ordinal);
        Assert.Contains("paused", (await RunAsync("orders")).Out, StringComparison.Ordinal);
        Assert.Equal(0, (await RunAsync("orders resume")).ExitCode);
        Assert.DoesNotContain("paused", (await RunAsync("orders")).Out, StringComparison.Ordinal);

        var audit = await JsonAsync("orders audit --json");
        Assert.Equal(["resume", "pause"], audit.GetProperty("entries").EnumerateArray().Select(entry => entry.GetProperty("action").GetString()));
        Assert.Contains("127.0.0.1", (await RunAsync("orders audit")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_order_that_is_not_open_is_exit_code_4()
    {
        var run = await RunAsync("orders cancel 99");

        Assert.Equal(4, run.ExitCode);
        Assert.Contains("No order 99 is open", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_drain_is_followed_to_its_end()
    {
        var run = await RunAsync("drain n2 --wait");

        Assert.Equal(0, run.ExitCode);
        Assert.StartsWith("n2 is drained", run.Out, StringComparison.Ordinal);
        Assert.Contains("40 of 100 blocks", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_drain_without_wait_is_begun_looked_at_and_taken_back()
    {
        var begun = await RunAsync("drain n2");
        var looked = await JsonAsync("drain n2 --status --json");
        var undone = await RunAsync("drain n2 --undo");

        Assert.Equal((0, 0), (begun.ExitCode, undone.ExitCode));
        Assert.Contains("n2 is draining: 40 of 100 blocks", begun.Out, StringComparison.Ordinal);
        Assert.Equal(("n2", "draining"), (looked.GetProperty("node").GetString(), looked.GetProperty("state").GetString()));
        Assert.StartsWith("n2 is not draining", undone.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("drain n9")]
    [InlineData("drain n9 --wait")]
    [InlineData("drain n9 --undo")]
    [InlineData("drain n9 --status")]
    public async Task A_node_that_nobody_knows_is_exit_code_4(string command)
    {
        var run = await RunAsync(command);

        Assert.Equal(4, run.ExitCode);
        Assert.Contains("'n9'", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("orders")]
    [InlineData("orders pause")]
    [InlineData("drain n2")]
    public async Task While_nobody_plans_the_reason_is_told(string command)
    {
        _desk.Unavailable = "No node plans at the moment.";

        var run = await RunAsync(command);

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("No node plans at the moment.", run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Out);
    }

    private Task<CliRun> RunAsync(string command) => CliRun.Of([.. command.Split(' '), "--node", _node]);

    private async Task<JsonElement> JsonAsync(string command)
    {
        var run = await RunAsync(command);
        Assert.True(run.ExitCode == 0, $"{command}: {run.Error}");
        return JsonDocument.Parse(run.Out).RootElement;
    }
}
