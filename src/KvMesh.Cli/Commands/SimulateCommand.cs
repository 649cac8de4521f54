using System.CommandLine;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Simulation.Retention;
using KvMesh.Simulation.Traces;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh simulate</c>: a trace over caches, or with <c>--nodes</c> over fleets, that nobody has to build first.</summary>
internal static class SimulateCommand
{
    private const int MaxCapacity = 100_000_000;

    /// <summary>Capacities of the default, and the smallest of them: where half of one hundredth of the trace fits.</summary>
    private const int SmallestDefault = 10;
    private const int DefaultShare = 200;

    private static readonly int[] Steps = [1, 2, 5];

    public static Command Create(Terminal terminal, TimeProvider time)
    {
        var trace = new Argument<FileInfo>("trace.jsonl") { Description = "Requests in Mooncake's format, as for replay; 'kvmesh trace' makes some." };
        trace.AcceptExistingOnly();
        var capacities = new Option<int[]>("--capacities")
        {
            Description = "Blocks that a cache holds, separated by commas. Default: 1, 2, 5, 10, … up to what the whole trace needs.",
            HelpName = "n,n,…",
            CustomParser = result => NumberList.Parse(result, "a number of blocks", 1, MaxCapacity),
        };
        var policies = new Option<string[]>("--policies")
        {
            Description = $"Policies of the engine, separated by commas: {string.Join(", ", SimulatedPolicies.Names)}. Default: all.",
            HelpName = "name,name,…",
            DefaultValueFactory = _ => [.. SimulatedPolicies.Names],
            CustomParser = result => ParsePolicies(result.Tokens[0].Value, result.AddError),
        };
        var tiers = new Option<TierRoom[]>("--tiers")
        {
            Description = "Tiers of one node instead of one cache: kind, blocks, and how many blocks of its codec take the room of one.",
            HelpName = "ram:n,disk:n:r,redis:n:r",
            CustomParser = TierList.Parse,
        };
        var hazards = new Option<bool>("--hazard-table")
        {
            Description = $"Also print what {SimulatedPolicies.Hazard} has learned at the end of the trace: for each class of blocks the chance of reuse by age.",
        };
        var picture = new Option<FileInfo>("--svg") { Description = "Also draw hit ratios over capacities into this file.", HelpName = "file" };
        var fleets = new SimulateFleets();
        var json = CliOption.Json();
        var command = new Command("simulate", "Run a trace over simulated caches: what each retention policy hits at each capacity, and what is possible. With --nodes over fleets.")
        {
            trace, capacities, policies, tiers, hazards, picture,
        };
        fleets.AddTo(command);
        command.Add(json);
        command.SetAction((parse, cancellationToken) =>
        {
            var areFleets = fleets.AreAsked(parse);
            if (areFleets && AnyIsAsked(parse, capacities, policies, tiers, hazards, picture))
            {
                throw new CommandException(ExitCode.Usage, "--capacities, --policies, --tiers, --hazard-table and --svg are of one cache; they cannot go with --nodes.");
            }

            var rooms = parse.GetValue(tiers) ?? [];
            if (rooms.Length > 0 && AnyIsAsked(parse, capacities, hazards, picture))
            {
                throw new CommandException(ExitCode.Usage, "--capacities, --hazard-table and --svg are of one tier; they cannot go with --tiers.");
            }

            if (parse.GetValue(hazards) && !parse.GetValue(policies)!.Contains(SimulatedPolicies.Hazard))
            {
                throw new CommandException(
                    ExitCode.Usage, $"--hazard-table is what {SimulatedPolicies.Hazard} has learned; --policies is '{string.Join(',', parse.GetValue(policies)!)}' and must name it.");
            }

            var requests = ReplayCommand.Load(parse.GetRequiredValue(trace));
            if (areFleets)
            {
                fleets.Run(parse, requests, parse.GetValue(json), terminal);
            }
            else if (rooms.Length > 0)
            {
                TierView.Write(terminal, TierStudy.Run(ChainedTrace.Of(requests), parse.GetValue(policies)!, rooms, cancellationToken), parse.GetValue(json));
            }
            else
            {
                var chained = ChainedTrace.Of(requests);
                var sizes = parse.GetResult(capacities) is { Implicit: false } ? parse.GetValue(capacities)! : DefaultCapacities(chained);
                var report = RetentionStudy.Run(chained, parse.GetValue(policies)!, sizes, parse.GetValue(hazards), time, cancellationToken);
                if (parse.GetValue(picture) is { } file)
                {
                    Save(file, RetentionPicture.Draw(report));
                }

                RetentionView.Write(terminal, report, parse.GetValue(json));
            }

            return Task.FromResult((int)ExitCode.Success);
        });
        return command.WithExamples(
            "kvmesh simulate conversation.jsonl                                    every policy at capacities up to the whole trace",
            "kvmesh simulate conversation.jsonl --capacities 1000,10000 --json     two capacities, for a script",
            "kvmesh simulate conversation.jsonl --svg hits.svg                     a picture besides",
            "kvmesh simulate conversation.jsonl --capacities 10000 --hazard-table  what the default policy learned of it",
            "kvmesh trace --seed 7 > trace.jsonl && kvmesh simulate trace.jsonl    a trace of our own making",
            "kvmesh simulate conversation.jsonl --tiers ram:5000,disk:50000:2      what disk adds, with blocks at half their size",
            "kvmesh simulate conversation.jsonl --nodes 4,16 --total-blocks 50000  fleets of one total memory",
            "kvmesh simulate conversation.jsonl --nodes 10 --failures 3 --link 1GiB   nodes that fail, on links of 10 Gbit/s",
            "A block counts as hit when it and all blocks before it are there. A partial block at the end is asked for and never kept.");
    }

    private static bool AnyIsAsked(ParseResult parse, params ReadOnlySpan<Option> options)
    {
        foreach (var option in options)
        {
            if (parse.GetResult(option) is { Implicit: false })
            {
                return true;
            }
        }

        return false;
    }

    private static void Save(FileInfo file, string picture)
    {
        try
        {
            File.WriteAllText(file.FullName, picture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException(ExitCode.Failure, $"--svg {file} cannot be written: {e.Message}", e);
        }
    }

    private static int[] DefaultCapacities(ChainedTrace trace)
    {
        var capacities = new List<int>();
        for (long decade = 1; capacities.Count == 0 || capacities[^1] < trace.DistinctBlocks; decade *= 10)
        {
            foreach (var capacity in Steps.Select(step => step * decade))
            {
                var isWanted = capacity >= Math.Max(SmallestDefault, trace.DistinctBlocks / DefaultShare);
                if (isWanted && (capacities.Count == 0 || capacities[^1] < trace.DistinctBlocks))
                {
                    capacities.Add((int)capacity);
                }
            }
        }

        return [.. capacities];
    }

    private static string[] ParsePolicies(string text, Action<string> addError)
    {
        var names = text.Split(',').Select(name => name.Trim().ToLowerInvariant()).ToArray();
        if (names.FirstOrDefault(name => !SimulatedPolicies.IsKnown(name)) is { } unknown)
        {
            addError($"--policies: '{unknown}' is no policy; there are {string.Join(", ", SimulatedPolicies.Names)}.");
        }

        return [.. names.Distinct()];
    }
}
