namespace KvMesh.TestKit;

/// <summary>A folder of one test, gone with it.</summary>
public sealed class TemporaryDirectory : IDisposable
{
    public TemporaryDirectory()
        : this(System.IO.Path.GetTempPath())
    {
    }

    /// <param name="parent">Where the folder is made.</param>
    public TemporaryDirectory(string parent) =>
        Path = Directory.CreateDirectory(System.IO.Path.Combine(parent, $"kvmesh-test-{Guid.NewGuid():N}")).FullName;

    public string Path { get; }

    public void Dispose() => Remove(Path);

    /// <summary>Removes a folder with all that is in it, also when a process that is about to end still makes a file there.</summary>
    internal static void Remove(string path) => Eventually.HoldsBlocking(() => IsRemoved(path), $"the end of the folder {path}");

    private static bool IsRemoved(string path)
    {
        try
        {
            Directory.Delete(path, recursive: true);
            return true;
        }
        catch (DirectoryNotFoundException)
        {
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
