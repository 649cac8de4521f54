using System.CommandLine;
using KvMesh.LoadTest.Faults;

namespace KvMesh.LoadTest.Verbs;

/// <summary>Faults of a mesh under a workload that verifies every byte. It is no measurement of speed: rows are faults, each made once.</summary>
internal static class FaultsVerb
{
    public static Command Create()
    {
        var isShort = new Option<bool>("--short") { Description = "Faults as short as in continuous integration." };
        var only = new Option<string>("--only") { Description = "Only these, in this order and as often as they are named, separated by commas: " + string.Join(", ", AllFaults.Words.Concat(AllFaults.Partitions)) + ".", HelpName = "words", DefaultValueFactory = _ => "" };
        var proxies = new Option<bool>("--proxies") { Description = "Partitions as on a machine that grants no network namespaces." };
        var command = new Command("faults", "Three nodes and a redis-server under faults, while a workload verifies every byte.") { isShort, only, proxies };
        command.SetAction((parse, _) => RunAsync(parse.GetValue(isShort) ? FaultSettings.Short : FaultSettings.Long, parse.GetValue(only)!, parse.GetValue(proxies)));
        return command;
    }

    private static async Task<int> RunAsync(FaultSettings settings, string only, bool proxies)
    {
        string[] known = [.. AllFaults.Words.Concat(AllFaults.Partitions)];
        string[] words = only.Length == 0 ? known : only.Split(',');
        if (words.FirstOrDefault(word => !known.Contains(word)) is { } unknown)
        {
            throw new LoadTestException($"--only: there is no fault '{unknown}'; there are {string.Join(", ", known)}.");
        }

        Console.Out.Write(FaultRow.Head);
        var hasHeld = await RunAsync(FaultMesh.StartAsync, words.Where(AllFaults.Words.Contains), settings);
        return await RunAsync(() => FaultMesh.StartApartAsync(proxies), words.Where(AllFaults.Partitions.Contains), settings) && hasHeld ? 0 : 1;
    }

    private static async Task<bool> RunAsync(Func<Task<FaultMesh>> start, IEnumerable<string> words, FaultSettings settings)
    {
        string[] all = [.. words];
        if (all.Length == 0)
        {
            return true;
        }

        await using var mesh = await start();
        await using var workload = await VerifyingWorkload.StartAsync(mesh.Targets, () => mesh.DataLosses, settings);
        var hasHeld = await RunAsync(new FaultBench(mesh, workload, settings), all);
        foreach (var complaint in workload.Traffic.Complaints)
        {
            Console.Error.WriteLine(complaint);
        }

        return hasHeld;
    }

    private static async Task<bool> RunAsync(FaultBench bench, string[] words)
    {
        var hasHeld = true;
        try
        {
            foreach (var word in words)
            {
                RunSettings.Progress(word);
                await using var fault = AllFaults.Create(word);
                var row = await FaultRunner.RunAsync(fault, bench);
                Console.Out.Write(row);
                RunSettings.Progress(row.Remark);
                hasHeld &= row.Counts is { Errors: 0, Wrong: 0 } && row.Recovery <= bench.Settings.RecoveryLimit;
            }
        }
        catch (Exception exception) when (exception is TimeoutException or LoadTestException)
        {
            hasHeld = false;
            Console.Error.WriteLine(exception.Message);
            foreach (var node in bench.Mesh.Nodes)
            {
                Console.Error.WriteLine($"{node.Target.Name}: {node.Describe()}");
            }
        }

        return hasHeld;
    }
}
