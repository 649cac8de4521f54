using KvMesh.Cli.Output;
using Spectre.Console;

namespace KvMesh.Cli.Demo;

/// <summary>Shows the demo while it runs: a live picture on a terminal, a line a second elsewhere.</summary>
internal sealed class DemoView
{
    private const int BarWidth = 32;
    private const int SparkWidth = 60;
    private static readonly TimeSpan FrameInterval = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LineInterval = TimeSpan.FromSeconds(1);

    private readonly DemoSession _session;
    private readonly Uri _dashboard;
    private readonly List<double> _rates = [];
    private long _lastBytes;
    private TimeSpan _lastElapsed;

    private DemoView(DemoSession session, Uri dashboard)
    {
        _session = session;
        _dashboard = dashboard;
    }

    /// <summary>Runs the demo's workload to its end. True when it was interrupted.</summary>
    /// <param name="session">The workload.</param>
    /// <param name="dashboard">Where the dashboard is.</param>
    /// <param name="terminal">Null shows nothing.</param>
    /// <param name="time">Clock of the frames.</param>
    /// <param name="cancellationToken">Ends the workload early.</param>
    public static async Task<bool> ShowAsync(
        DemoSession session, Uri dashboard, Terminal? terminal, TimeProvider time, CancellationToken cancellationToken)
    {
        var view = new DemoView(session, dashboard);
        var run = session.RunAsync(cancellationToken);
        if (terminal is { OutIsTerminal: true })
        {
            await view.ShowLiveAsync(run, terminal.Screen, time);
        }
        else if (terminal is not null)
        {
            await view.ShowLinesAsync(run, terminal.Out, time);
        }

        try
        {
            await run;
            return false;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return true;
        }
    }

    private Task ShowLiveAsync(Task run, IAnsiConsole console, TimeProvider time) =>
        console.Live(Render()).StartAsync(async live =>
        {
            while (!run.IsCompleted)
            {
                await Task.WhenAny(run, Task.Delay(FrameInterval, time));
                Sample();
                live.UpdateTarget(Render());
            }
        });

    private async Task ShowLinesAsync(Task run, TextWriter output, TimeProvider time)
    {
        await output.WriteLineAsync($"KvMesh demo: {Formats.Count(_session.RequestCount)} prompts over three doors, dashboard at {_dashboard}");
        while (await Task.WhenAny(run, Task.Delay(LineInterval, time)) != run)
        {
            var totals = _session.Totals;
            await output.WriteLineAsync(
                $"{Formats.Duration(_session.Elapsed),8}  {Formats.Count(totals.Requests)}/{Formats.Count(_session.RequestCount)} prompts  "
                + WorkloadProgress.Describe(totals, _session.Elapsed));
        }
    }

    private void Sample()
    {
        var (totals, elapsed) = (_session.Totals, _session.Elapsed);
        var bytes = totals.ReadBytes + totals.WrittenBytes;
        var seconds = (elapsed - _lastElapsed).TotalSeconds;
        if (seconds > 0.05)
        {
            _rates.Add((bytes - _lastBytes) / seconds);
            (_lastBytes, _lastElapsed) = (bytes, elapsed);
        }
    }

    private Panel Render()
    {
        var totals = _session.Totals;
        var done = (double)totals.Requests / Math.Max(1, _session.RequestCount);
        var grid = new Grid().AddColumn(new GridColumn().NoWrap().PadRight(3)).AddColumn();
        Row("prompts", $"[blue]{Formats.Bar(done, BarWidth)}[/]  {Formats.Count(totals.Requests)} of {Formats.Count(_session.RequestCount)}");
        Row("blocks hit", $"[green]{Formats.Bar(totals.HitRatio, BarWidth)}[/]  [bold]{Formats.Percent(totals.HitRatio)}[/]");
        foreach (var tier in _session.Tiers.Where(tier => tier.CapacityBytes > 0))
        {
            var used = (double)tier.UsedBytes / tier.CapacityBytes;
            Row(
                tier.Name == "host" ? "RAM" : tier.Name,
                $"[yellow]{Formats.Bar(used, BarWidth)}[/]  {Formats.Bytes(tier.UsedBytes)} of {Formats.Bytes(tier.CapacityBytes)}, {Formats.Count(tier.Blocks)} blocks");
        }

        Row("throughput", $"[blue]{Formats.Sparkline(_rates, SparkWidth)}[/]  {Formats.Rate(_rates.Count > 0 ? _rates[^1] : 0)}");
        Row("checked", totals.MismatchedBytes == 0
            ? $"[green]{Formats.Bytes(totals.ReadBytes)}, every byte right[/]"
            : $"[red bold]{Formats.Count(totals.MismatchedBytes)} wrong bytes[/]");
        Row("dashboard", $"[link]{Markup.Escape(_dashboard.ToString())}[/]");
        return new Panel(new Rows(grid, new Text(""), Lanes())).Header("[bold] KvMesh demo [/]").RoundedBorder().BorderColor(Color.Grey).Padding(2, 1);

        void Row(string name, string markup) => grid.AddRow(new Markup($"[grey]{name}[/]"), new Markup(markup));
    }

    private Table Lanes()
    {
        var table = new Table().SimpleBorder().BorderColor(Color.Grey);
        table.AddColumn("door");
        string[] names = ["prompts", "blocks hit", "hit", "read", "written", "GB/s"];
        foreach (var name in names)
        {
            table.AddColumn(new TableColumn(name).RightAligned());
        }

        foreach (var lane in _session.Lanes)
        {
            var totals = lane.Runner.Totals;
            var seconds = Math.Max(0.001, lane.Runner.Elapsed.TotalSeconds);
            table.AddRow(
                lane.Title, Formats.Count(totals.Requests), Formats.Count(totals.HitBlocks), Formats.Percent(totals.HitRatio),
                Formats.Bytes(totals.ReadBytes), Formats.Bytes(totals.WrittenBytes), Formats.Rate((totals.ReadBytes + totals.WrittenBytes) / seconds));
        }

        return table;
    }
}
