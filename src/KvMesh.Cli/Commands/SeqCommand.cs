using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Client.Admin;
using KvMesh.Protocol.Admin;
using Spectre.Console;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh seq</c>: sequences of a tenant, as an operator sees and handles them.</summary>
internal static class SeqCommand
{
    public static Command Create(Terminal terminal)
    {
        var command = new Command("seq", "Show and handle sequences: sessions and the blocks they hold on to.")
        {
            List(terminal), Show(terminal), Open(terminal), Park(terminal), Resume(terminal), Pin(terminal), Close(terminal),
        };
        return command.WithExamples(
            "kvmesh seq list                                          the sequences of your tenant",
            "kvmesh seq open chat-17 --model llama-3-8b               create one, or take it",
            "kvmesh seq pin chat-17 --replicas 2 --for 3600           two verified copies for an hour",
            "kvmesh seq show chat-17 --segments 20                    what it holds");
    }

    private static Command List(Terminal terminal)
    {
        var parts = new SeqParts("list", "List sequences in order of their names.", takesName: false);
        var after = new Option<string>("--after") { Description = "List the names behind this one. Default: from the first.", HelpName = "name" };
        var count = CliOption.Number("--count", "Sequences to list, at most. Default: 100.", 1, 256, 100);
        parts.Command.Add(after);
        parts.Command.Add(count);
        return parts.OnRun(async (parse, admin, cancellationToken) =>
        {
            var list = await admin.ListSequencesAsync(parse.GetValue(parts.Tenant), parse.GetValue(after), parse.GetValue(count), cancellationToken);
            if (parse.GetValue(parts.Json))
            {
                terminal.WriteJson(list, AdminJson.Default.SequenceList);
            }
            else
            {
                terminal.Screen.Write(Table(list));
            }
        });
    }

    private static Command Show(Terminal terminal)
    {
        var parts = new SeqParts("show", "Show one sequence.");
        var segments = CliOption.Number("--segments", "Segments to list, the last ones. Default: 0.", 0, 1024, 0);
        parts.Command.Add(segments);
        return parts.OnRun(async (parse, admin, cancellationToken) =>
        {
            var (tenant, name) = (parse.GetValue(parts.Tenant), parse.GetRequiredValue(parts.Name));
            var status = await admin.GetSequenceAsync(tenant, name, cancellationToken);
            var listed = await LastSegmentsAsync(admin, tenant, name, parse.GetValue(segments), cancellationToken);
            if (parse.GetValue(parts.Json) && parse.GetValue(segments) > 0)
            {
                var json = JsonSerializer.SerializeToNode(status, AdminJson.Default.SequenceStatus)!.AsObject();
                json["segmentList"] = new JsonArray([.. listed.Select(segment => JsonSerializer.SerializeToNode(segment, AdminJson.Default.SegmentStatus))]);
                terminal.Out.WriteLine(json.ToJsonString());
                return;
            }

            Write(terminal, parse, parts, status);
            foreach (var segment in listed)
            {
                terminal.Out.WriteLine(
                    $"segment {segment.Index,7}  blocks {segment.StartBlock}–{segment.StartBlock + segment.Blocks - 1}  {Formats.Count(segment.Tokens)} tokens  {Formats.Bytes(segment.Bytes)}");
            }
        });
    }

    private static async Task<List<SegmentStatus>> LastSegmentsAsync(AdminClient admin, string? tenant, string name, int count, CancellationToken cancellationToken)
    {
        var segments = new List<SegmentStatus>();
        if (count == 0)
        {
            return segments;
        }

        var total = (await admin.GetSegmentsAsync(tenant, name, 0, 1, cancellationToken)).Total;
        for (var first = Math.Max(0, total - count); first < total;)
        {
            var page = await admin.GetSegmentsAsync(tenant, name, first, count, cancellationToken);
            segments.AddRange(page.Segments);
            first += Math.Max(1, page.Segments.Count);
        }

        return segments;
    }

    private static Command Open(Terminal terminal)
    {
        var parts = new SeqParts("open", "Create a sequence, or take the one that exists with the same parameters.");
        var model = new Option<string>("--model") { Description = "Model of its blocks.", HelpName = "name", Required = true };
        var revision = new Option<string>("--revision") { Description = "Revision of the weights.", HelpName = "name" };
        var holder = Holder("Who takes it.");
        var idle = CliOption.Real("--idle", "It ends after this many seconds without a command. Default: the node's.", 0, 31_536_000, 0);
        parts.Command.Add(model);
        parts.Command.Add(revision);
        parts.Command.Add(holder);
        parts.Command.Add(idle);
        var lossless = new Option<bool>("--lossless") { Description = "No copy of its blocks may lose anything; one that exists becomes so, and stays so." };
        parts.Command.Add(lossless);
        return parts.OnRun(async (parse, admin, cancellationToken) =>
        {
            var request = new SequenceOpenRequest(
                parse.GetValue(parts.Name), parse.GetValue(model), parse.GetValue(revision), Holder: parse.GetValue(holder),
                IdleLimitSeconds: parse.GetValue(idle) is > 0 and var seconds ? seconds : null, LosslessOnly: parse.GetValue(lossless));
            Write(terminal, parse, parts, await admin.OpenSequenceAsync(parse.GetValue(parts.Tenant), request, cancellationToken));
        });
    }

    private static Command Park(Terminal terminal)
    {
        var parts = new SeqParts("park", "Rest a sequence between turns.");
        var next = Holder("Id of the node that will probably resume it; another name is kept, and nothing is brought anywhere for it.");
        var back = CliOption.Real("--return", "In how many seconds it will probably be resumed: its blocks are brought to that node in time. Default: not known.", 0, 31_536_000, 0);
        parts.Command.Add(next);
        parts.Command.Add(back);
        return parts.OnRun(async (parse, admin, cancellationToken) =>
        {
            Write(terminal, parse, parts, await admin.ParkSequenceAsync(
                parse.GetValue(parts.Tenant), parse.GetRequiredValue(parts.Name), new SequenceParkRequest(parse.GetValue(next), parse.GetValue(back) is > 0 and var seconds ? seconds : null), cancellationToken));
            if (parse.GetValue(next) is { Length: > 0 } holder && await IsNoNodeAsync(admin, holder, cancellationToken))
            {
                await terminal.Error.WriteLineAsync($"kvmesh: no node of the cluster is called {holder}: the name is kept, and no blocks are brought anywhere for it");
            }
        });
    }

    /// <summary>False also for a caller who may not see the nodes: he is told nothing of them.</summary>
    private static async Task<bool> IsNoNodeAsync(AdminClient admin, string name, CancellationToken cancellationToken)
    {
        try
        {
            return (await admin.GetNodesAsync(cancellationToken)).Nodes.All(node => node.Id != name);
        }
        catch (AdminRefusedException)
        {
            return false;
        }
    }

    private static Command Resume(Terminal terminal)
    {
        var parts = new SeqParts("resume", "Take a sequence, parked or not; whoever had it can change nothing any more.");
        var holder = Holder("Who takes it.");
        parts.Command.Add(holder);
        return parts.OnRun(async (parse, admin, cancellationToken) => Write(terminal, parse, parts, await admin.ResumeSequenceAsync(
            parse.GetValue(parts.Tenant), parse.GetRequiredValue(parts.Name), new SequenceResumeRequest(parse.GetValue(holder)), cancellationToken)));
    }

    private static Command Pin(Terminal terminal)
    {
        var parts = new SeqParts("pin", "Ask for copies of a sequence's blocks on so many nodes. Pending until they are verified; only held is a promise.");
        var replicas = CliOption.Number("--replicas", "Copies on different nodes; 0 lifts the pin. Default: 2.", 0, 16, 2);
        var length = CliOption.Real("--for", "How many seconds. Default: 3600.", 1, 31_536_000, 3600);
        parts.Command.Add(replicas);
        parts.Command.Add(length);
        return parts.OnRun(async (parse, admin, cancellationToken) => Write(terminal, parse, parts, await admin.PinSequenceAsync(
            parse.GetValue(parts.Tenant), parse.GetRequiredValue(parts.Name), new SequencePinRequest(parse.GetValue(replicas), parse.GetValue(length)), cancellationToken)));
    }

    private static Command Close(Terminal terminal)
    {
        var parts = new SeqParts("close", "End a sequence. Its blocks live on as any others.");
        return parts.OnRun(async (parse, admin, cancellationToken) => Write(terminal, parse, parts, await admin.CloseSequenceAsync(
            parse.GetValue(parts.Tenant), parse.GetRequiredValue(parts.Name), null, cancellationToken)));
    }

    private static Option<string> Holder(string description) => new("--holder") { Description = description, HelpName = "name" };

    private static void Write(Terminal terminal, ParseResult parse, SeqParts parts, SequenceStatus status)
    {
        if (parse.GetValue(parts.Json))
        {
            terminal.WriteJson(status, AdminJson.Default.SequenceStatus);
            return;
        }

        var culture = CultureInfo.InvariantCulture;
        var text = terminal.Out;
        text.WriteLine($"{status.Tenant}/{status.Name}: {status.State}{(status.Holder.Length > 0 ? $", {status.Holder}" : "")}, epoch {status.Epoch}");
        text.WriteLine($"  {Formats.Count(status.Blocks)} blocks, {Formats.Count(status.Tokens)} tokens, {Formats.Bytes(status.Bytes)} in {Formats.Count(status.Segments)} segments of {status.Model}");
        if (status.LosslessOnly)
        {
            text.WriteLine("  lossless only: no copy of its blocks may lose anything");
        }

        if (status.Origin is { } origin)
        {
            text.WriteLine($"  fork of {origin.Name} at block {Formats.Count(origin.Blocks)}");
        }

        if (status.Pin is { } pin)
        {
            text.WriteLine(string.Create(culture, $"  pin {pin.State}: {pin.Copies} of {pin.Replicas} copies of {pin.Blocks} blocks, until {pin.Until:u}"));
        }

        text.WriteLine(string.Create(culture, $"  created {status.CreatedAt:u}, used {status.UsedAt:u}, ends {status.EndsAt:u} or after {status.IdleLimitSeconds:0} s without use"));
    }

    private static Table Table(SequenceList list)
    {
        var table = new Table().RoundedBorder();
        foreach (var column in new[] { "name", "state", "holder", "blocks", "tokens", "bytes", "segments", "pin", "used" })
        {
            table.AddColumn(column);
        }

        foreach (var each in list.Sequences)
        {
            table.AddRow(
                Markup.Escape(each.Name), each.State, Markup.Escape(each.Holder), Formats.Count(each.Blocks), Formats.Count(each.Tokens), Formats.Bytes(each.Bytes),
                Formats.Count(each.Segments), each.Pin is { } pin ? $"{pin.State} {pin.Copies}/{pin.Replicas}" : "–", each.UsedAt.ToString("u", CultureInfo.InvariantCulture));
        }

        if (list.Next is not null)
        {
            table.Caption($"more: --after {Markup.Escape(list.Next)}");
        }

        return table;
    }
}

/// <summary>What every verb of <c>kvmesh seq</c> has.</summary>
internal sealed class SeqParts
{
    private readonly AdminConnection _connection = new();

    public SeqParts(string verb, string description, bool takesName = true)
    {
        Command = new Command(verb, description);
        if (takesName)
        {
            Command.Add(Name);
        }

        Command.Add(Tenant);
        _connection.AddTo(Command);
        Command.Add(Json);
    }

    public Command Command { get; }

    public Argument<string> Name { get; } = new("name") { Description = "Name of the sequence." };

    public Option<string> Tenant { get; } = new("--tenant") { Description = "Owner of the sequences. Default: your token's tenant.", HelpName = "name" };

    public Option<bool> Json { get; } = CliOption.Json();

    public Command OnRun(Func<ParseResult, AdminClient, CancellationToken, Task> run)
    {
        Command.SetAction(async (parse, cancellationToken) =>
        {
            using var admin = _connection.Create(parse);
            await run(parse, admin, cancellationToken);
            return (int)ExitCode.Success;
        });
        return Command;
    }
}
