using System.CommandLine;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Client.Admin;
using KvMesh.Protocol.Admin;
using Spectre.Console;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh top</c>: one node, live.</summary>
internal static class TopCommand
{
    /// <summary>A node sends once a second; silence of this length is a lost connection.</summary>
    private static readonly TimeSpan SilenceLimit = TimeSpan.FromSeconds(10);

    public static Command Create(Terminal terminal)
    {
        var connection = new AdminConnection();
        var count = CliOption.Number("--count", "Updates to show, one a second; 0: until Ctrl-C.", 0, int.MaxValue, 0);
        var json = CliOption.Json();
        var command = new Command("top", "Watch a node live: occupancy, hits, throughput, latency. One line a second where there is no terminal.");
        connection.AddTo(command);
        command.Add(count);
        command.Add(json);
        command.SetAction(async (parse, cancellationToken) =>
        {
            using var admin = connection.Create(parse);
            var updates = UpdatesAsync(admin, parse.GetValue(count), cancellationToken);
            try
            {
                await (parse.GetValue(json) ? WriteJsonAsync(updates, terminal)
                    : terminal.OutIsTerminal ? ShowLiveAsync(updates, terminal)
                    : ShowLinesAsync(updates, terminal));
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                // Ctrl-C is how one leaves.
            }

            return (int)ExitCode.Success;
        });
        return command.WithExamples("kvmesh top", "kvmesh top --node http://gpu-7:8600 --count 60 > minute.txt", "kvmesh top --json | jq .sample");
    }

    private static async IAsyncEnumerable<LiveUpdate> UpdatesAsync(
        AdminClient admin, int count, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var shown = 0;
        silence.CancelAfter(SilenceLimit);
        await foreach (var update in admin.WatchAsync(silence.Token))
        {
            silence.CancelAfter(SilenceLimit);
            yield return update;
            if (++shown == count)
            {
                yield break;
            }
        }

        throw new CommandException(ExitCode.NodeUnreachable, "the node ended the stream; it is stopping or was replaced");
    }

    private static Task ShowLiveAsync(IAsyncEnumerable<LiveUpdate> updates, Terminal terminal) =>
        terminal.Screen.Live(new Text("waiting for the node…")).AutoClear(true).StartAsync(async live =>
        {
            await foreach (var update in updates)
            {
                live.UpdateTarget(NodeView.Render(update.Status, update.Sample));
            }
        });

    private static async Task WriteJsonAsync(IAsyncEnumerable<LiveUpdate> updates, Terminal terminal)
    {
        await foreach (var update in updates)
        {
            terminal.WriteJson(update, AdminJson.Default.LiveUpdate);
        }
    }

    private static async Task ShowLinesAsync(IAsyncEnumerable<LiveUpdate> updates, Terminal terminal)
    {
        await foreach (var update in updates)
        {
            await terminal.Out.WriteLineAsync(NodeView.Line(update));
        }
    }
}
