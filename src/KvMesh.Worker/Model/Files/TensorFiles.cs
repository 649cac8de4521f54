using System.Text.Json;

namespace KvMesh.Worker.Model.Files;

/// <summary>The tensors of a model: <c>model.safetensors</c>, or several files that <c>model.safetensors.index.json</c> names.</summary>
public sealed class TensorFiles : IDisposable
{
    private const string SingleName = "model.safetensors";
    private const string IndexName = "model.safetensors.index.json";
    private const int MaxFiles = 4096;

    private readonly Dictionary<string, SafetensorsFile> _files = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SafetensorsFile> _holders = new(StringComparer.Ordinal);

    private TensorFiles(string directory) => Directory = directory;

    public string Directory { get; }

    /// <exception cref="ModelFileException">A file is missing or malformed, or the index disagrees with it.</exception>
    public static TensorFiles Open(string directory)
    {
        var files = new TensorFiles(directory);
        try
        {
            var index = Path.Combine(directory, IndexName);
            if (File.Exists(index))
            {
                files.AddIndexed(index);
            }
            else
            {
                files.AddSingle(Path.Combine(directory, SingleName));
            }

            return files;
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    public bool Contains(string name) => _holders.ContainsKey(name);

    /// <summary>A tensor that must be there with a given shape, in numbers that a model computes with.</summary>
    /// <exception cref="ModelFileException">It is missing, or has another shape or element.</exception>
    public (SafetensorsFile File, TensorEntry Tensor) Require(string name, params ReadOnlySpan<long> shape)
    {
        if (!_holders.TryGetValue(name, out var file))
        {
            throw new ModelFileException(Directory, $"tensor '{name}' is missing; it should be [{string.Join(", ", shape.ToArray())}].");
        }

        var tensor = file.Tensors[name];
        if (!tensor.Shape.AsSpan().SequenceEqual(shape))
        {
            throw new ModelFileException(file.Path, $"tensor '{name}' has the shape {tensor.ShapeText}; config.json asks for [{string.Join(", ", shape.ToArray())}].");
        }

        if (tensor.Element is not (TensorElement.F32 or TensorElement.BF16 or TensorElement.F16))
        {
            throw new ModelFileException(file.Path, $"tensor '{name}' holds {tensor.Element}; a model computes with F32, BF16 or F16.");
        }

        return (file, tensor);
    }

    public void Dispose()
    {
        foreach (var file in _files.Values)
        {
            file.Dispose();
        }
    }

    private void AddSingle(string path)
    {
        var file = SafetensorsFile.Open(path);
        _files.Add(path, file);
        foreach (var name in file.Tensors.Keys)
        {
            _holders.Add(name, file);
        }
    }

    private void AddIndexed(string index)
    {
        using var document = ModelJson.Read(index);
        foreach (var (name, holder) in ModelJson.Members(index, document.RootElement, "weight_map"))
        {
            var file = OpenOnce(index, name, holder);
            if (!file.Tensors.ContainsKey(name))
            {
                throw new ModelFileException(index, $"weight_map: '{name}' is not in {file.Path}.");
            }

            _holders.Add(name, file);
        }
    }

    private SafetensorsFile OpenOnce(string index, string tensor, JsonElement holder)
    {
        var name = holder.ValueKind == JsonValueKind.String ? holder.GetString()! : throw new ModelFileException(index, $"weight_map: the file of '{tensor}' must be a string.");
        if (name.Length == 0 || Path.GetFileName(name) != name || name is "." or "..")
        {
            throw new ModelFileException(index, $"weight_map: '{name}' must be a file of the same folder.");
        }

        if (!_files.TryGetValue(name, out var file))
        {
            if (_files.Count == MaxFiles)
            {
                throw new ModelFileException(index, $"weight_map names more than {MaxFiles} files.");
            }

            file = SafetensorsFile.Open(Path.Combine(Directory, name));
            _files.Add(name, file);
        }

        return file;
    }
}
