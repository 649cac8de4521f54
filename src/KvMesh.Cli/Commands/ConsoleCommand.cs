using System.CommandLine;
using System.Net;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Dashboard;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh console</c>: the dashboard of a node, served by a process of its own.</summary>
internal static class ConsoleCommand
{
    private const int DefaultPort = 8610;

    public static Command Create(Terminal terminal)
    {
        var connection = new AdminConnection();
        var listen = CliOption.Listen("--listen", $"Where the page is served. Default: 127.0.0.1:{DefaultPort}.", canBeOff: false);
        var insecure = new Option<bool>("--insecure") { Description = "Show a node without tokens to viewers from other machines too." };
        var command = new Command("console", "Serve the dashboard of a node from a process of its own.") { listen, insecure };
        connection.AddNodeTo(command);
        command.SetAction(async (parse, cancellationToken) =>
        {
            var options = new ConsoleOptions
            {
                Listen = Resolve(parse.GetValue(listen)),
                Dashboard = { Node = connection.Node(parse), AllowAnonymousOffLoopback = parse.GetValue(insecure) },
                Started = address => terminal.Error.WriteLine($"kvmesh: dashboard of {connection.Node(parse)} at {address}; Ctrl-C ends it"),
            };
            await ConsoleHost.RunAsync(options, cancellationToken);
            return (int)ExitCode.Success;
        });
        return command.WithExamples(
            "kvmesh console --node http://gpu-7:8600",
            "kvmesh serve --no-console & kvmesh console --listen 127.0.0.1:9000");
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
