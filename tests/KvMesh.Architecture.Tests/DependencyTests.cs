using System.Xml.Linq;
using KvMesh.TestKit;

namespace KvMesh.Architecture.Tests;

/// <summary>The dependency table of docs/ARCHITECTURE.md, held as a test.</summary>
public sealed class DependencyTests
{
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["KvMesh.Protocol"] = [],
        ["KvMesh.Client"] = ["KvMesh.Protocol"],
        ["KvMesh.Codecs"] = ["KvMesh.Protocol", "System.Numerics.Tensors"],
        ["KvMesh.Engine"] = ["KvMesh.Protocol", "Microsoft.AspNetCore.App"],
        ["KvMesh.Cluster"] = ["KvMesh.Protocol", "Microsoft.AspNetCore.App"],
        ["KvMesh.Remote"] = ["KvMesh.Client", "KvMesh.Cluster", "KvMesh.Engine", "Microsoft.AspNetCore.App", "Polly.Core", "StackExchange.Redis"],
        ["KvMesh.Orleans"] = ["KvMesh.Cluster", "Microsoft.AspNetCore.App", "Microsoft.Orleans.Server", "Microsoft.Orleans.Clustering.Redis", "Microsoft.Orleans.Persistence.Redis"],
        ["KvMesh.Gateway"] = ["KvMesh.Cluster", "KvMesh.Engine", "Microsoft.AspNetCore.App", "Microsoft.AspNetCore.OpenApi"],
        ["KvMesh.Dashboard"] = ["KvMesh.Client", "Microsoft.AspNetCore.App", "Radzen.Blazor"],
        ["KvMesh.Server"] = ["Microsoft.AspNetCore.App", "KvMesh.Codecs", "KvMesh.Dashboard", "KvMesh.Gateway", "KvMesh.Orleans", "KvMesh.Remote", "OpenTelemetry", "OpenTelemetry.Exporter.OpenTelemetryProtocol"],
        ["KvMesh.Worker"] = ["KvMesh.Client", "KvMesh.Cluster", "KvMesh.Codecs", "KvMesh.Engine", "Microsoft.AspNetCore.App", "System.Numerics.Tensors"],
        ["KvMesh.Simulation"] = ["KvMesh.Cluster", "KvMesh.Engine"],
        ["KvMesh.Cli"] = ["Microsoft.AspNetCore.App", "KvMesh.Server", "KvMesh.Simulation", "KvMesh.Worker", "OxyPlot.Core", "Spectre.Console", "System.CommandLine"],
    };

    public static TheoryData<string> Projects => [.. Directory.GetDirectories(Path.Combine(SourceTree.Root, "src"), "KvMesh.*").Select(path => Path.GetFileName(path)!)];

    [Theory]
    [MemberData(nameof(Projects))]
    public void Project_references_only_what_the_diagram_allows(string project)
    {
        var document = XDocument.Load(Path.Combine(SourceTree.Root, "src", project, project + ".csproj"));
        var references = document.Descendants()
            .Where(element => element.Name.LocalName is "ProjectReference" or "PackageReference" or "FrameworkReference")
            .Select(element => element.Attribute("Include")!.Value)
            .Select(include => include.EndsWith(".csproj", StringComparison.Ordinal) ? Path.GetFileNameWithoutExtension(include) : include);

        Assert.Empty(references.Except(Allowed[project]));
    }
}
