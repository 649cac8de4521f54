using KvMesh.Cli.Workload;
using Spectre.Console;

namespace KvMesh.Cli.Output;

/// <summary>Shows a workload on standard error while it runs: a bar on a terminal, a line now and then elsewhere.</summary>
internal static class WorkloadProgress
{
    private static readonly TimeSpan BarInterval = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LineInterval = TimeSpan.FromSeconds(5);

    /// <summary>Runs it to its end. True when it was interrupted.</summary>
    /// <exception cref="WorkloadAbortedException">The node stopped answering.</exception>
    public static async Task<bool> RunAsync(
        string name, WorkloadRunner runner, Terminal terminal, TimeProvider time, CancellationToken cancellationToken)
    {
        var run = runner.RunAsync(cancellationToken);
        if (terminal.ErrorIsTerminal)
        {
            await ShowBarAsync(name, runner, run, terminal.Progress, time);
        }
        else
        {
            await ShowLinesAsync(name, runner, run, terminal.Error, time);
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
        catch (OperationCanceledException)
        {
            // One client found the node lost and stopped the others; its own exception is the one to tell.
            throw run.Exception?.InnerExceptions.OfType<WorkloadAbortedException>().FirstOrDefault()
                ?? new WorkloadAbortedException(runner.FirstError ?? "the node stopped answering");
        }
    }

    /// <summary>One line with the figures of this moment.</summary>
    public static string Describe(WorkloadTotals totals, TimeSpan elapsed)
    {
        var rate = elapsed > TimeSpan.Zero ? (totals.ReadBytes + totals.WrittenBytes) / elapsed.TotalSeconds : 0;
        var text = $"hit {Formats.Percent(totals.HitRatio)}, {Formats.Rate(rate)}, checked {Formats.Bytes(totals.ReadBytes)}";
        return totals.MismatchedBytes + totals.Errors == 0
            ? text
            : $"{text}, MISMATCHED {Formats.Count(totals.MismatchedBytes)} bytes, errors {Formats.Count(totals.Errors)}";
    }

    private static Task ShowBarAsync(string name, WorkloadRunner runner, Task run, IAnsiConsole console, TimeProvider time) =>
        console.Progress()
            .AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .StartAsync(async context =>
            {
                var bar = context.AddTask(name, maxValue: runner.RequestCount);
                while (!run.IsCompleted)
                {
                    await Task.WhenAny(run, Task.Delay(BarInterval, time));
                    var totals = runner.Totals;
                    bar.Value = totals.Requests;
                    bar.Description = Markup.Escape($"{name}: {Describe(totals, runner.Elapsed)}");
                }
            });

    private static async Task ShowLinesAsync(string name, WorkloadRunner runner, Task run, TextWriter error, TimeProvider time)
    {
        while (await Task.WhenAny(run, Task.Delay(LineInterval, time)) != run)
        {
            var totals = runner.Totals;
            await error.WriteLineAsync(
                $"kvmesh: {name} {Formats.Count(totals.Requests)}/{Formats.Count(runner.RequestCount)} requests, {Describe(totals, runner.Elapsed)}");
        }
    }
}
