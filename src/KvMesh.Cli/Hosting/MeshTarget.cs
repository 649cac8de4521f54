using System.CommandLine;
using System.CommandLine.Parsing;
using KvMesh.Cli.Parsing;
using KvMesh.Cli.Workload.Routing;

namespace KvMesh.Cli.Hosting;

/// <summary>Options that let requests enter a mesh at several nodes.</summary>
internal sealed class MeshTarget
{
    private const int MaxEndpoints = 64;

    private readonly WorkloadTarget _single;
    private readonly Option<string> _endpoints = new("--endpoints")
    {
        Description = "Several running nodes of one mesh, separated by commas; requests enter at all of them. Addresses as for --endpoint.",
        HelpName = "a,b,c",
    };

    private readonly Option<string> _routing = new("--routing")
    {
        Description = "With --endpoints: round-robin deals requests in turn; affinity sends those with the same first blocks to the same node.",
        DefaultValueFactory = _ => "round-robin",
    };

    private readonly Option<int> _affinityBlocks = CliOption.Number(
        "--affinity-blocks", "Blocks from the first on whose content decides with --routing affinity. One is too few where all prompts begin alike.", 1, 4096, 2);

    public MeshTarget(WorkloadTarget single)
    {
        _single = single;
        _routing.AcceptOnlyFromAmong("round-robin", "affinity");
    }

    public void AddTo(Command command)
    {
        command.Add(_endpoints);
        command.Add(_routing);
        command.Add(_affinityBlocks);
        command.Validators.Add(Check);
    }

    /// <summary>The mesh that was named; null when none was.</summary>
    public DoorMesh? Of(ParseResult parse, TimeProvider time) => parse.GetValue(_endpoints) is not { } list
        ? null
        : new DoorMesh(
            _single.ViaOf(parse), Split(list), _single.TokenOf(parse),
            parse.GetValue(_routing) == "affinity" ? RequestRouting.Affinity : RequestRouting.RoundRobin, parse.GetValue(_affinityBlocks), time);

    private static string[] Split(string list) => list.Split(',', StringSplitOptions.TrimEntries);

    private static bool IsGiven(CommandResult result, Option option) => result.GetResult(option) is { Implicit: false };

    private void Check(CommandResult result)
    {
        if (!IsGiven(result, _endpoints))
        {
            foreach (var option in new Option[] { _routing, _affinityBlocks }.Where(option => IsGiven(result, option)))
            {
                result.AddError($"{option.Name} says which of several nodes a request enters at; it needs --endpoints.");
            }

            return;
        }

        foreach (var option in _single.OfOneNode.Where(option => IsGiven(result, option)))
        {
            result.AddError($"{option.Name} describes one node; it cannot go with --endpoints.");
        }

        if (IsGiven(result, _affinityBlocks) && result.GetValue(_routing) != "affinity")
        {
            result.AddError("--affinity-blocks needs --routing affinity.");
        }

        CheckAddresses(result, Split(result.GetValue(_endpoints) ?? ""));
    }

    private void CheckAddresses(CommandResult result, string[] addresses)
    {
        if (addresses.Length > MaxEndpoints)
        {
            result.AddError($"--endpoints names {addresses.Length} nodes; the limit is {MaxEndpoints}.");
        }

        foreach (var twice in addresses.GroupBy(address => address).Where(group => group.Count() > 1))
        {
            result.AddError($"--endpoints names '{twice.Key}' {twice.Count()} times; each node goes in once.");
        }

        var via = _single.ViaOf(result);
        foreach (var problem in addresses.Select(address => DoorTarget.Problem(via, address)).OfType<string>())
        {
            result.AddError($"--endpoints: {problem}");
        }
    }
}
