using KvMesh.TestKit;

namespace KvMesh.Protocol.Tests.Native;

/// <summary>Vectors that other implementations are tested with too: hexadecimal text in tests/golden, white space and lines that begin with # aside.</summary>
internal static class GoldenVectors
{
    public static string Folder { get; } = Path.Combine(SourceTree.Root, "tests", "golden");

    public static byte[] Read(string name)
    {
        var lines = File.ReadAllLines(Path.Combine(Folder, name + ".hex")).Where(line => !line.StartsWith('#'));
        return Convert.FromHexString(string.Concat(lines).Replace(" ", "", StringComparison.Ordinal));
    }
}
