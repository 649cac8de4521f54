using System.CommandLine;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Simulation.Traces;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh trace</c>: requests as a fleet might get them, for replay and simulate.</summary>
internal static class TraceCommand
{
    public static Command Create(Terminal terminal)
    {
        var defaults = new FleetTraceOptions();
        var seed = CliOption.Number("--seed", "Same options, same trace.", 0, int.MaxValue, defaults.Seed);
        var requests = CliOption.Number("--requests", "Prompts in all.", 1, 10_000_000, defaults.Requests);
        var rate = CliOption.Real("--sessions-per-second", "Sessions that begin in a second.", 0.001, 1e6, defaults.SessionsPerSecond);
        var tenants = CliOption.Number("--tenants", "Customers that share nothing.", 1, 1_000, defaults.Tenants);
        var system = CliOption.Number("--system-prompts", "System prompts of each tenant.", 1, 10_000, defaults.SystemPrompts);
        var skew = CliOption.Real("--skew", "Exponent of the popularity of tenants and system prompts: 0 is even, 1 is Zipf's law.", 0, 10, defaults.Skew);
        var drift = CliOption.Real("--drift", "Minutes after which system prompts change places in popularity; 0: never.", 0, 1e6, defaults.DriftMinutes);
        var agents = CliOption.Real("--agents", "Share of the sessions that are agents, with steps and forks.", 0, 1, defaults.AgentShare);
        var documents = CliOption.Real("--documents", "Share of the sessions that are documents, read once or twice; the rest are chats.", 0, 1, defaults.DocumentShare);
        var goOn = CliOption.Real("--continue", "Chance that a chat goes on after its first turn; later ones gain up to 0.4.", 0, 1, defaults.ContinueChance);
        var back = CliOption.Real("--return", "Median seconds until a chat goes on; log-normal, the ninth decile is 4.3 times as long.", 0.001, 1e6, defaults.ReturnSeconds);
        var scans = Moments("--scans", "Seconds at which a scan begins, separated by commas: a flood of prompts that share nothing and never come again. Default: none.");
        var scanPrompts = CliOption.Number("--scan-prompts", "Prompts of a scan; they count among --requests.", 1, 1_000_000, defaults.ScanPrompts);
        var scanTokens = CliOption.Number("--scan-tokens", "Tokens of each prompt of a scan.", 1, 100_000, defaults.ScanTokens);
        var scanRate = CliOption.Real("--scan-rate", "Prompts of a scan in a second.", 0.001, 1e6, defaults.ScanPromptsPerSecond);
        var phases = Moments("--phases", "Seconds at which a phase begins, separated by commas: system prompts are new ones, and sessions do not go on. Default: none.");
        var phaseShare = CliOption.Real("--phase-share", "Share of the system prompts and sessions that a change of phase ends.", 0, 1, defaults.PhaseShare);
        var command = new Command("trace", "Generate a trace of chats, agents and documents on standard output, in Mooncake's format with tenants.")
        {
            seed, requests, rate, tenants, system, skew, drift, agents, documents, goOn, back, scans, scanPrompts, scanTokens, scanRate, phases, phaseShare,
        };
        command.SetAction(parse =>
        {
            if (parse.GetValue(agents) + parse.GetValue(documents) is var share and > 1)
            {
                throw new CommandException(ExitCode.Usage, $"--agents and --documents are {share} together; they are shares of all sessions, at most 1.");
            }

            if (parse.GetValue(scans) is [] && new Option[] { scanPrompts, scanTokens, scanRate }.FirstOrDefault(option => parse.GetResult(option) is { Implicit: false }) is { } stray)
            {
                throw new CommandException(ExitCode.Usage, $"{stray.Name} describes scans; it needs --scans.");
            }

            if (parse.GetValue(phases) is [] && parse.GetResult(phaseShare) is { Implicit: false })
            {
                throw new CommandException(ExitCode.Usage, $"{phaseShare.Name} describes phases; it needs --phases.");
            }

            MooncakeTrace.Write(terminal.Out, FleetTrace.Generate(defaults with
            {
                Seed = parse.GetValue(seed),
                Requests = parse.GetValue(requests),
                SessionsPerSecond = parse.GetValue(rate),
                Tenants = parse.GetValue(tenants),
                SystemPrompts = parse.GetValue(system),
                Skew = parse.GetValue(skew),
                DriftMinutes = parse.GetValue(drift),
                AgentShare = parse.GetValue(agents),
                DocumentShare = parse.GetValue(documents),
                ContinueChance = parse.GetValue(goOn),
                ReturnSeconds = parse.GetValue(back),
                ScansAtSeconds = [.. parse.GetValue(scans)!],
                ScanPrompts = parse.GetValue(scanPrompts),
                ScanTokens = parse.GetValue(scanTokens),
                ScanPromptsPerSecond = parse.GetValue(scanRate),
                PhasesAtSeconds = [.. parse.GetValue(phases)!],
                PhaseShare = parse.GetValue(phaseShare),
            }));
            return (int)ExitCode.Success;
        });
        return command.WithExamples(
            "kvmesh trace > trace.jsonl                                     an hour like Mooncake's conversation trace",
            "kvmesh trace --seed 7 --tenants 20 --agents 0.3 > agents.jsonl   many agents, of twenty customers",
            "kvmesh trace --scans 900,2700 --phases 1800 > rough.jsonl        two floods, and other prompts after half an hour",
            "kvmesh simulate trace.jsonl                                    what caches would hit of it",
            "docs/SIMULATION.md describes every figure and what it was taken from.");
    }

    private static Option<int[]> Moments(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "s,s,…",
        DefaultValueFactory = _ => [],
        CustomParser = result => NumberList.Parse(result, "a number of seconds", 0, FleetTraceOptions.MaxSeconds),
    };
}
