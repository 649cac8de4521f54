using KvMesh.Cli.Hosting;
using KvMesh.Cli.Workload;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace KvMesh.Cli.Output;

/// <summary>What the nodes of a mesh did in a workload, one row each, and what is said of those that did not answer.</summary>
internal static class MeshSummary
{
    public static IRenderable Render(IReadOnlyList<EndpointReport> endpoints)
    {
        var table = new Table().RoundedBorder().AddColumn("entered at");
        foreach (var name in new[] { "requests", "blocks asked", "hit", "not answered", "served elsewhere" })
        {
            table.AddColumn(new TableColumn(name).RightAligned());
        }

        foreach (var row in endpoints)
        {
            table.AddRow(
                Markup.Escape(row.Endpoint) + (row.IsDown ? " [yellow](down)[/]" : ""), Formats.Count(row.Requests), Formats.Count(row.Blocks),
                Formats.Percent(row.HitRatio), Formats.Count(row.Failures), Formats.Count(row.Diverted));
        }

        return table;
    }

    /// <summary>Says before the run which nodes are not there.</summary>
    public static void WriteAbsent(DoorMesh? mesh, TextWriter error)
    {
        foreach (var node in mesh?.Nodes.Where(node => node.IsDown) ?? [])
        {
            error.WriteLine($"kvmesh: {node.FirstFailure}; its requests go to the other nodes until it does");
        }
    }

    /// <summary>Says after the run which nodes failed while it lasted.</summary>
    public static void WriteProblems(DoorMesh? mesh, TextWriter error)
    {
        foreach (var node in mesh?.Nodes.Where(node => node.Failures > 0) ?? [])
        {
            error.WriteLine(
                $"kvmesh: {node.Address} left {Formats.Count(node.Failures)} calls unanswered, {Formats.Count(node.Diverted)} requests went elsewhere; the first: {node.FirstFailure}");
        }
    }
}
