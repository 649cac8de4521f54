using KvMesh.Protocol.SharedMemory;
using KvMesh.TestKit;

namespace KvMesh.Worker.Tests.Devices;

/// <summary>A file of random bytes, mapped as the arena of a node is.</summary>
internal sealed unsafe class MappedMemory : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly SharedMapping _mapping;
    private readonly int _bytes;

    public MappedMemory(int bytes, bool readOnly)
    {
        var path = Path.Combine(_directory.Path, "arena");
        File.WriteAllBytes(path, TestBytes.Payload(11, bytes));
        using var file = File.OpenHandle(path, FileMode.Open, readOnly ? FileAccess.Read : FileAccess.ReadWrite);
        _mapping = SharedMapping.Map(file, bytes, writable: !readOnly);
        _bytes = bytes;
    }

    public nint Start => (nint)_mapping.Start;

    public ReadOnlySpan<byte> Span => _mapping.Slice(0, _bytes);

    public void Dispose()
    {
        _mapping.Dispose();
        _directory.Dispose();
    }
}
