namespace KvMesh.Protocol.Tests.Native;

/// <summary>Vectors that other implementations are tested with too: hexadecimal text in tests/golden, white space and lines that begin with # aside.</summary>
internal static class GoldenVectors
{
    public static string Folder { get; } = Find();

    public static byte[] Read(string name)
    {
        var lines = File.ReadAllLines(Path.Combine(Folder, name + ".hex")).Where(line => !line.StartsWith('#'));
        return Convert.FromHexString(string.Concat(lines).Replace(" ", "", StringComparison.Ordinal));
    }

    private static string Find()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory!.FullName, "KvMesh.sln")))
        {
            directory = directory.Parent;
        }

        return Path.Combine(directory.FullName, "tests", "golden");
    }
}
