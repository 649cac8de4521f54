using System.Globalization;
using KvMesh.Protocol.Admin;
using Spectre.Console;

namespace KvMesh.Cli.Output;

/// <summary>Orders of placement as tables for people.</summary>
internal static class OrderView
{
    /// <summary>Digits of a prefix that tell it from others at a glance.</summary>
    private const int PrefixDigits = 12;

    public static void Write(OrderList list, Terminal terminal)
    {
        WriteScheduler(list.Scheduler, list.IsPaused ? ", [yellow]paused: nothing is ordered[/]" : "", terminal);
        WriteOrders(list.Orders, "nothing moves, and nothing moved lately", terminal);
        WriteDeferred(list.Deferred, terminal);
    }

    public static void Write(PlanPreview plan, Terminal terminal)
    {
        WriteScheduler(plan.Scheduler, "", terminal);
        WriteOrders(plan.Orders, "nothing would be ordered now", terminal);
        WriteDeferred(plan.Deferred, terminal);
    }

    public static void Write(IReadOnlyList<AuditEntry> entries, Terminal terminal)
    {
        if (entries.Count == 0)
        {
            terminal.Error.WriteLine("kvmesh: nobody did anything yet");
            return;
        }

        var table = new Table().RoundedBorder().AddColumn("when").AddColumn("who").AddColumn("did").AddColumn("to");
        foreach (var entry in entries)
        {
            table.AddRow(
                entry.At.ToString("u", CultureInfo.InvariantCulture), Markup.Escape(entry.Actor), Markup.Escape(entry.Action), Markup.Escape(entry.Subject));
        }

        terminal.Screen.Write(table);
    }

    private static void WriteScheduler(string scheduler, string remark, Terminal terminal) => terminal.Screen.MarkupLine(
        scheduler.Length > 0 ? $"planned by [bold]{Markup.Escape(scheduler)}[/]{remark}" : $"[yellow]no node plans at the moment[/]{remark}");

    private static void WriteOrders(IReadOnlyList<OrderStatus> orders, string none, Terminal terminal)
    {
        if (orders.Count == 0)
        {
            terminal.Error.WriteLine($"kvmesh: {none}");
            return;
        }

        var table = new Table().RoundedBorder().AddColumn("order").AddColumn("kind").AddColumn("state").AddColumn("prefix");
        table.AddColumn(new TableColumn("moved").RightAligned()).AddColumn("from, to").AddColumn(new TableColumn("costs / saves").RightAligned()).AddColumn("why");
        foreach (var order in orders)
        {
            table.AddRow(
                order.Id == 0 ? "–" : $"{order.Id}", Markup.Escape(order.Kind), State(order), Markup.Escape($"{Formats.Count(order.Blocks)} blocks of {order.Tenant} {Short(order.Prefix)}"),
                $"{Formats.Bytes(order.MovedBytes)} of {Formats.Bytes(order.Bytes)}", Markup.Escape($"{string.Join(", ", order.Sources)} → {order.Target}"), $"{Seconds(order.CostSeconds)} / {Seconds(order.BenefitSeconds)}", Markup.Escape(Why(order)));
        }

        terminal.Screen.Write(table);
    }

    private static void WriteDeferred(IReadOnlyList<DeferredOrderStatus> deferred, Terminal terminal)
    {
        foreach (var why in deferred.GroupBy(entry => entry.Why, StringComparer.Ordinal))
        {
            terminal.Screen.MarkupLine(
                $"left for later, {Markup.Escape(why.Key)}: {Formats.Count(why.Count())} order(s), {Formats.Bytes(why.Sum(entry => entry.Order.Bytes))}");
        }
    }

    private static string State(OrderStatus order) => order.State switch
    {
        "failed" => "[red]failed[/]",
        "running" => "[green]running[/]",
        "cancelled" or "lost" => $"[yellow]{order.State}[/]",
        _ => Markup.Escape(order.State),
    };

    private static string Why(OrderStatus order) => order.Message.Length > 0 ? $"{order.Reason} – {order.Message}" : order.Reason;

    private static string Short(string prefix) => prefix.Length > PrefixDigits ? prefix[..PrefixDigits] + "…" : prefix;

    private static string Seconds(double seconds) => Formats.Latency(TimeSpan.FromSeconds(Math.Clamp(seconds, 0, 1e9)));
}
