namespace KvMesh.TestKit;

/// <summary>The checkout that the tests were built from.</summary>
public static class SourceTree
{
    public static string Root { get; } = Find();

    private static string Find()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory.FullName, "KvMesh.sln")))
        {
            directory = directory.Parent ?? throw new InvalidOperationException($"No KvMesh.sln above {AppContext.BaseDirectory}.");
        }

        return directory.FullName;
    }
}
