namespace KvMesh.LoadTest.Processes;

/// <summary>A folder that goes with this value, and the arenas in /dev/shm that were made meanwhile for it.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    private readonly HashSet<string> _before = [.. Arenas()];

    public TemporaryFolder(string? parent = null) =>
        Path = Directory.CreateDirectory(System.IO.Path.Combine(parent ?? System.IO.Path.GetTempPath(), $"kvmesh-load-{Guid.NewGuid():n}")).FullName;

    public string Path { get; }

    public void Dispose()
    {
        Directory.Delete(Path, recursive: true);
        foreach (var arena in Arenas().Where(arena => !_before.Contains(arena) && IsUnused(arena)))
        {
            File.Delete(arena);
        }
    }

    private static IEnumerable<string> Arenas() => Directory.EnumerateFiles("/dev/shm", "kvmesh*");

    /// <summary>Whether no living process maps the file: another node on this machine may have started meanwhile.</summary>
    private static bool IsUnused(string arena)
    {
        foreach (var process in Directory.EnumerateDirectories("/proc").Where(name => int.TryParse(System.IO.Path.GetFileName(name), out _)))
        {
            try
            {
                if (File.ReadAllText(System.IO.Path.Combine(process, "maps")).Contains(arena, StringComparison.Ordinal))
                {
                    return false;
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // The process ended, or belongs to somebody else.
            }
        }

        return true;
    }
}
