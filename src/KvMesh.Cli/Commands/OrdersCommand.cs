using System.CommandLine;
using System.Globalization;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Client.Admin;
using KvMesh.Protocol.Admin;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh orders</c>: what the scheduler moves between nodes, and what operators may do about it.</summary>
internal static class OrdersCommand
{
    private delegate Task Verb(ParseResult parse, AdminClient admin, CancellationToken cancellationToken);

    public static Command Create(Terminal terminal)
    {
        var command = new Command("orders", "Show what moves between nodes and why; cancel, pause, or see what would be ordered next.")
        {
            List(terminal, new Command("list", "Open orders, those that ended lately, and what was left for later. What 'kvmesh orders' alone does.")),
            Plan(terminal), Cancel(terminal), Pause(terminal, "pause", isPaused: true, "Plan on and order nothing. Orders that were given go on."),
            Pause(terminal, "resume", isPaused: false, "Order what is planned again."), Audit(terminal),
        };
        return List(terminal, command).WithExamples(
            "kvmesh orders                            what moves now, and what moved lately",
            "kvmesh orders plan                       what the scheduler would order now; nothing is ordered",
            "kvmesh orders cancel 17                  take one back",
            "kvmesh orders pause                      order nothing more, until 'kvmesh orders resume'",
            "kvmesh orders audit --json               who cancelled, paused, resumed and drained",
            "Any node may be asked; it answers for the one that plans. With credentials it needs a token with the right admin.");
    }

    private static Command List(Terminal terminal, Command command)
    {
        var count = CliOption.Number("--count", "Orders to show, at most. Default: 100.", 1, 1000, 100);
        command.Add(count);
        return OnRun(command, json => async (parse, admin, cancellationToken) =>
        {
            var list = await admin.GetOrdersAsync(parse.GetValue(count), cancellationToken);
            if (parse.GetValue(json))
            {
                terminal.WriteJson(list, AdminJson.Default.OrderList);
            }
            else
            {
                OrderView.Write(list, terminal);
            }
        });
    }

    private static Command Plan(Terminal terminal) => OnRun(
        new Command("plan", "Show what would be ordered now. Nothing is ordered; it works while orders are paused."),
        json => async (parse, admin, cancellationToken) =>
        {
            var plan = await admin.PreviewPlanAsync(cancellationToken);
            if (parse.GetValue(json))
            {
                terminal.WriteJson(plan, AdminJson.Default.PlanPreview);
            }
            else
            {
                OrderView.Write(plan, terminal);
            }
        });

    private static Command Cancel(Terminal terminal)
    {
        var id = new Argument<string>("id") { Description = "Number of the order, as 'kvmesh orders' shows it." };
        id.Validators.Add(result =>
        {
            if (ParseId(result.GetValueOrDefault<string>()) is null)
            {
                result.AddError($"id is '{result.GetValueOrDefault<string>()}'; it must be the number of an order, 1 or more.");
            }
        });
        var command = new Command("cancel", "Take an open order back. What it moved so far stays where it is.") { id };
        return OnRun(command, json => async (parse, admin, cancellationToken) =>
        {
            var number = ParseId(parse.GetRequiredValue(id))!.Value;
            if (!await admin.CancelOrderAsync(number, cancellationToken))
            {
                throw new CommandException(ExitCode.NotFound, $"No order {number} is open; 'kvmesh orders' lists them.");
            }

            Confirm(terminal, parse.GetValue(json), new OrderActionReport("cancel", number), $"order {number} is cancelled");
        });
    }

    private static Command Pause(Terminal terminal, string verb, bool isPaused, string description) => OnRun(
        new Command(verb, description),
        json => async (parse, admin, cancellationToken) =>
        {
            await (isPaused ? admin.PauseOrdersAsync(cancellationToken) : admin.ResumeOrdersAsync(cancellationToken));
            Confirm(
                terminal, parse.GetValue(json), new OrderActionReport(verb, null),
                isPaused ? "paused: plans are made and nothing is ordered; 'kvmesh orders resume' ends it" : "plans are ordered again");
        });

    private static Command Audit(Terminal terminal)
    {
        var count = CliOption.Number("--count", "Actions to show, at most. Default: 100.", 1, 1000, 100);
        var command = new Command("audit", "Show what operators did to orders and nodes, the latest first.") { count };
        return OnRun(command, json => async (parse, admin, cancellationToken) =>
        {
            var entries = await admin.GetAuditAsync(parse.GetValue(count), cancellationToken);
            if (parse.GetValue(json))
            {
                terminal.WriteJson(new AuditReport(entries), CliJson.Default.AuditReport);
            }
            else
            {
                OrderView.Write(entries, terminal);
            }
        });
    }

    private static long? ParseId(string? text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && id > 0 ? id : null;

    private static void Confirm(Terminal terminal, bool json, OrderActionReport report, string text)
    {
        if (json)
        {
            terminal.WriteJson(report, CliJson.Default.OrderActionReport);
        }
        else
        {
            terminal.Error.WriteLine($"kvmesh: {text}");
        }
    }

    private static Command OnRun(Command command, Func<Option<bool>, Verb> verb)
    {
        var connection = new AdminConnection();
        var json = CliOption.Json();
        connection.AddTo(command);
        command.Add(json);
        var run = verb(json);
        command.SetAction(async (parse, cancellationToken) =>
        {
            using var admin = connection.Create(parse);
            await run(parse, admin, cancellationToken);
            return (int)ExitCode.Success;
        });
        return command;
    }
}

/// <summary>What an action on orders prints with <c>--json</c>.</summary>
/// <param name="Id">The order; null: all of them.</param>
internal sealed record OrderActionReport(string Action, long? Id);

/// <summary>What <c>kvmesh orders audit --json</c> prints.</summary>
internal sealed record AuditReport(IReadOnlyList<AuditEntry> Entries);
