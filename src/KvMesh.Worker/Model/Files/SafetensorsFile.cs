using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Worker.Model.Files;

/// <summary>
/// A safetensors file, mapped read-only. Spans that it gives are valid until it is disposed; who disposes it must know that nobody reads. A file
/// that others make shorter meanwhile ends the process (SIGBUS), as with every mapping: models are replaced by rename.
/// </summary>
public sealed unsafe class SafetensorsFile : IDisposable
{
    private readonly MemoryMappedFile _mapping;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _data;

    private SafetensorsFile(string path, MemoryMappedFile mapping, MemoryMappedViewAccessor view, long fileBytes)
    {
        Path = path;
        _mapping = mapping;
        _view = view;
        byte* start = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        try
        {
            start += _view.PointerOffset;
            var length = SafetensorsHeader.ReadLength(path, new ReadOnlySpan<byte>(start, (int)Math.Min(fileBytes, SafetensorsHeader.PrefixBytes)), fileBytes);
            var header = new ReadOnlySpan<byte>(start + SafetensorsHeader.PrefixBytes, length);
            _data = start + SafetensorsHeader.PrefixBytes + length;
            Tensors = SafetensorsHeader.Parse(path, header, fileBytes - SafetensorsHeader.PrefixBytes - length);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Path { get; }

    /// <summary>What is in the file, by name.</summary>
    public IReadOnlyDictionary<string, TensorEntry> Tensors { get; }

    /// <exception cref="ModelFileException">The file cannot be read, or is no safetensors file.</exception>
    public static SafetensorsFile Open(string path)
    {
        try
        {
            using var handle = File.OpenHandle(path);
            var bytes = RandomAccess.GetLength(handle);
            if (bytes == 0)
            {
                throw new ModelFileException(path, "the file is empty.");
            }

            return Map(path, handle, bytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFileException(path, $"cannot be read: {e.Message}", e);
        }
    }

    /// <summary>A part of a tensor's bytes.</summary>
    /// <param name="tensor">One of <see cref="Tensors"/>.</param>
    /// <param name="offset">First byte, counted from the tensor's first.</param>
    /// <param name="count">Bytes.</param>
    public ReadOnlySpan<byte> Bytes(TensorEntry tensor, long offset, int count)
    {
        ObjectDisposedException.ThrowIf(_view.SafeMemoryMappedViewHandle.IsClosed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, tensor.Bytes - offset);
        return new ReadOnlySpan<byte>(_data + tensor.Offset + offset, count);
    }

    public void Dispose()
    {
        if (!_view.SafeMemoryMappedViewHandle.IsClosed)
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
        }

        _view.Dispose();
        _mapping.Dispose();
    }

    private static SafetensorsFile Map(string path, SafeFileHandle handle, long bytes)
    {
        var mapping = MemoryMappedFile.CreateFromFile(handle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        try
        {
            return new SafetensorsFile(path, mapping, mapping.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read), bytes);
        }
        catch
        {
            mapping.Dispose();
            throw;
        }
    }
}
