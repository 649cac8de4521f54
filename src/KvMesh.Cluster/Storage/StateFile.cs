using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace KvMesh.Cluster.Storage;

/// <summary>
/// A small JSON file of a data directory, written as a whole and synced: a crash or a loss of power leaves the one before. One caller at a time. Members throw
/// what files throw, <see cref="IOException"/> and <see cref="UnauthorizedAccessException"/>.
/// </summary>
public sealed class StateFile<T>(string directory, string name, JsonTypeInfo<T> type)
    where T : class
{
    public string Path { get; } = System.IO.Path.Combine(directory, name);

    /// <summary>What was written last; null: nothing was, or it was deleted.</summary>
    /// <exception cref="JsonException">What is there was damaged since.</exception>
    public T? Read() => File.Exists(Path) ? JsonSerializer.Deserialize(File.ReadAllBytes(Path), type) : null;

    public void Write(T content)
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using (var file = new FileStream(Path + ".new", options))
        {
            JsonSerializer.Serialize(file, content, type);
            file.Flush(flushToDisk: true);
        }

        File.Move(Path + ".new", Path, overwrite: true);
    }

    public void Delete() => File.Delete(Path);
}
