using System.CommandLine;
using System.CommandLine.Invocation;
using System.Net;
using KvMesh.Cli.Commands;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Cli.Workload;
using KvMesh.Client;
using KvMesh.Client.Admin;
using KvMesh.Server;
using KvMesh.Server.Options;
using KvMesh.Simulation.Traces;

namespace KvMesh.Cli;

/// <summary>The command <c>kvmesh</c>: its verbs, and what every failure tells user and script.</summary>
internal static class KvMeshCommand
{
    public static async Task<int> RunAsync(string[] args, Terminal terminal, CancellationToken cancellationToken)
    {
        var parse = Create(terminal, TimeProvider.System).Parse(args);
        var configuration = new InvocationConfiguration
        {
            Output = terminal.Out,
            Error = terminal.Error,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null,
        };
        if (parse.Action is ParseErrorAction)
        {
            WriteParseErrors(parse, terminal.Error);
            WriteJsonError(parse, terminal, ExitCode.Usage, string.Join(' ', parse.Errors.Select(problem => problem.Message)));
            return (int)ExitCode.Usage;
        }

        try
        {
            return await parse.InvokeAsync(configuration, cancellationToken);
        }
        catch (Exception e) when (Explain(e, cancellationToken) is { } failure)
        {
            foreach (var line in failure.Message.Split(Environment.NewLine))
            {
                await terminal.Error.WriteLineAsync($"kvmesh: {line}");
            }

            WriteJsonError(parse, terminal, failure.Code, failure.Message);
            return (int)failure.Code;
        }
    }

    /// <summary>A script that asked for one JSON object gets one, also when there is no result.</summary>
    private static void WriteJsonError(ParseResult parse, Terminal terminal, ExitCode code, string message)
    {
        if (!terminal.HasJson && parse.Tokens.Any(token => token.Value == CliOption.JsonName))
        {
            terminal.WriteJson(new ErrorReport(message, (int)code), CliJson.Default.ErrorReport);
        }
    }

    internal static RootCommand Create(Terminal terminal, TimeProvider time)
    {
        var root = new RootCommand("KvMesh keeps the KV cache of LLM serving engines outside the engine, so that a prompt prefix that is kept is not computed again.")
        {
            ServeCommand.Create(terminal),
            DemoCommand.Create(terminal, time),
            ReplayCommand.Create(terminal, time),
            SimulateCommand.Create(terminal, time),
            TraceCommand.Create(terminal),
            BenchCommand.Create(terminal, time),
            StatusCommand.Create(terminal),
            AdviseCommand.Create(terminal),
            NodesCommand.Create(terminal),
            UpCommand.Create(terminal, time),
            WorkerCommand.Create(terminal),
            TopCommand.Create(terminal),
            CodecsCommand.Create(terminal),
            BlockCommand.Create(terminal),
            ConfigCommand.Create(terminal),
            PutCommand.Create(terminal),
            GetCommand.Create(terminal),
            RemoveCommand.Create(terminal),
            PurgeCommand.Create(terminal),
            SeqCommand.Create(terminal),
            OrdersCommand.Create(terminal),
            DrainCommand.Create(terminal, time),
            ConsoleCommand.Create(terminal),
            TokenCommand.Create(terminal),
        };
        root.WithExamples(
            "kvmesh demo                               see a node at work, with its dashboard",
            "kvmesh serve                              run a node on this machine",
            "kvmesh status                             what the node holds and does",
            "kvmesh replay trace.jsonl --via resp      replay recorded requests, every byte checked",
            "kvmesh serve --help                       options and examples of one command");
        CommandHelp.Install(root);
        return root;
    }

    private static void WriteParseErrors(ParseResult parse, TextWriter error)
    {
        foreach (var problem in parse.Errors)
        {
            error.WriteLine($"kvmesh: {problem.Message}");
        }

        List<string> names = [];
        for (var result = parse.CommandResult; result is not null; result = result.Parent as System.CommandLine.Parsing.CommandResult)
        {
            names.Insert(0, result.Command is RootCommand ? "kvmesh" : result.Command.Name);
        }

        error.WriteLine($"kvmesh: '{string.Join(' ', names)} --help' shows how it is used.");
    }

    /// <summary>What to tell about a failure that a user can cause or meet; null for bugs, which deserve their stack trace.</summary>
    private static (ExitCode Code, string Message)? Explain(Exception exception, CancellationToken cancellationToken) => exception switch
    {
        CommandException e => (e.ExitCode, e.Message),
        NodeOptionsException e => (ExitCode.Usage, e.Message),
        NodeStartException e => (ExitCode.Failure, e.Message),
        TraceFormatException e => (ExitCode.Failure, e.Message),
        WorkloadAbortedException e => (ExitCode.NodeUnreachable, e.Message),
        KvMeshConnectException e => (e.IsRefusal ? ExitCode.Failure : ExitCode.NodeUnreachable, e.Message),
        AdminRefusedException { Error.Field: not "path", StatusCode: HttpStatusCode.NotFound } e => (ExitCode.NotFound, e.Message),
        AdminRefusedException { Error.Field: not null, StatusCode: HttpStatusCode.BadRequest } e => (ExitCode.Usage, e.Message),
        AdminRefusedException e => (ExitCode.Failure, e.NeedsToken ? $"{e.Message} Give a token with --token or $KVMESH_TOKEN." : e.Message),
        HttpRequestException e => (ExitCode.NodeUnreachable, $"the node does not answer: {e.Message}; 'kvmesh serve' starts one"),
        OperationCanceledException when cancellationToken.IsCancellationRequested => (ExitCode.Interrupted, "interrupted"),
        OperationCanceledException => (ExitCode.NodeUnreachable, "the node did not answer in time"),
        IOException or UnauthorizedAccessException => (ExitCode.Failure, exception.Message),
        _ => null,
    };
}

/// <summary>What a command with <c>--json</c> prints instead of its result when it fails.</summary>
/// <param name="Error">The message, as on standard error.</param>
/// <param name="ExitCode">What the process ends with.</param>
internal sealed record ErrorReport(string Error, int ExitCode);
