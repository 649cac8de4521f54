using KvMesh.TestKit;

namespace KvMesh.Architecture.Tests;

internal static class SourceFiles
{
    /// <summary>Every C# file under src, its path relative to src with forward slashes.</summary>
    public static IReadOnlyList<(string Path, string Text)> All { get; } =
    [
        .. Directory.EnumerateFiles(Path.Combine(SourceTree.Root, "src"), "*.cs", SearchOption.AllDirectories)
            .Select(path => (Path.GetRelativePath(Path.Combine(SourceTree.Root, "src"), path).Replace('\\', '/'), File.ReadAllText(path))),
    ];
}
