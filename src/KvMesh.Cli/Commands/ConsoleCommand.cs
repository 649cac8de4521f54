using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Dashboard;
using KvMesh.Protocol.Admin;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh console</c>: the dashboard of a node, served by a process of its own.</summary>
internal static class ConsoleCommand
{
    private const int DefaultPort = 8610;

    private static readonly TimeSpan LookLimit = TimeSpan.FromSeconds(5);

    public static Command Create(Terminal terminal)
    {
        var connection = new AdminConnection();
        var listen = CliOption.Listen("--listen", $"Where the page is served. Default: 127.0.0.1:{DefaultPort}.", canBeOff: false);
        var insecure = new Option<bool>("--insecure") { Description = "Show a node without tokens to viewers from other machines too." };
        var json = CliOption.Json();
        var command = new Command("console", "Serve the dashboard of a node from a process of its own.") { listen, insecure, json };
        connection.AddNodeTo(command);
        command.SetAction(async (parse, cancellationToken) =>
        {
            var look = Task.CompletedTask;
            var options = new ConsoleOptions
            {
                Listen = Resolve(parse.GetValue(listen)),
                Dashboard = { Node = connection.Node(parse), AllowAnonymousOffLoopback = parse.GetValue(insecure) },
                Started = address =>
                {
                    Report(terminal, parse.GetValue(json), new ConsoleReport($"{address}", $"{connection.Node(parse)}"));
                    look = LookAsync(connection.Node(parse), terminal, cancellationToken);
                },
            };
            try
            {
                await ConsoleHost.RunAsync(options, cancellationToken);
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                throw new CommandException(
                    ExitCode.Failure, $"--listen {options.Listen} cannot be used: {e.Message.TrimEnd('.')}. Stop the other process or give another address.", e);
            }

            await look;
            return (int)ExitCode.Success;
        });
        return command.WithExamples(
            "kvmesh console --node http://gpu-7:8600",
            "kvmesh serve --no-console & kvmesh console --listen 127.0.0.1:9000");
    }

    /// <summary>Says that the node does not answer: the page would only say so to who opens it, and shows the node once it does.</summary>
    private static async Task LookAsync(Uri node, Terminal terminal, CancellationToken cancellationToken)
    {
        using var http = new HttpClient { BaseAddress = node, Timeout = LookLimit };
        try
        {
            (await http.GetAsync(new Uri(AdminRoutes.Healthy, UriKind.Relative), cancellationToken)).Dispose();
        }
        catch (HttpRequestException e)
        {
            await terminal.Error.WriteLineAsync($"kvmesh: {node} does not answer now ({e.Message}); the page shows the node once it does");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            await terminal.Error.WriteLineAsync($"kvmesh: {node} did not answer within {LookLimit.TotalSeconds:0} s; the page shows the node once it does");
        }
        catch (OperationCanceledException)
        {
            // The command ends; nobody wants to know any more.
        }
    }

    private static void Report(Terminal terminal, bool asJson, ConsoleReport report)
    {
        if (asJson)
        {
            terminal.WriteJson(report, CliJson.Default.ConsoleReport);
            return;
        }

        terminal.Error.WriteLine($"kvmesh: dashboard of {report.Node} at {report.Address}; Ctrl-C ends it");
    }

    private static IPEndPoint Resolve(ListenAddress? address)
    {
        var host = address?.Host ?? "127.0.0.1";
        var port = address?.Port ?? DefaultPort;
        return host == "localhost" ? new IPEndPoint(IPAddress.Loopback, port)
            : IPAddress.TryParse(host, out var ip) ? new IPEndPoint(ip, port)
            : throw new CommandException(ExitCode.Usage, $"--listen is '{host}:{port}'; the host must be an IP address or localhost.");
    }
}

/// <summary>What <c>console --json</c> prints when it serves.</summary>
/// <param name="Address">Where the page is.</param>
/// <param name="Node">HTTP address of the node that it shows.</param>
internal sealed record ConsoleReport(string Address, string Node);
