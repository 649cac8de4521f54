using KvMesh.Protocol.SharedMemory;
using KvMesh.Protocol.Sockets;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Gateway.SharedMemory;

/// <summary>
/// The file through which one client writes, mapped here read-only. The client may change its bytes at any moment but cannot
/// shrink it, so the node copies what it is told to and trusts only what it has copied.
/// </summary>
internal sealed class StagingFile : IDisposable
{
    private readonly StagingBudget _budget;
    private readonly SharedMapping _mapping;

    private StagingFile(StagingBudget budget, SharedMapping mapping)
    {
        _budget = budget;
        _mapping = mapping;
    }

    public long Bytes => _mapping.Bytes;

    /// <summary>Makes a staging file. Null when the budget is spent. The caller passes <paramref name="file"/> on and closes it.</summary>
    public static StagingFile? TryCreate(StagingBudget budget, long bytes, out SafeFileHandle? file)
    {
        file = null;
        if (!budget.TryTake(bytes))
        {
            return null;
        }

        try
        {
            file = MemoryFile.Create("kvmesh-staging", bytes);
            return new StagingFile(budget, SharedMapping.Map(file, bytes, writable: false));
        }
        catch (IOException)
        {
            // Out of descriptors or address space: the client writes over its socket, as with a spent budget.
            file?.Dispose();
            file = null;
            budget.Return(bytes);
            return null;
        }
    }

    /// <summary>Whether the range lies inside the file.</summary>
    public bool Contains(ulong offset, uint count) => count <= (ulong)Bytes && offset <= (ulong)Bytes - count;

    /// <summary>Bytes that the client wrote, or is still writing.</summary>
    public ReadOnlySpan<byte> Slice(ulong offset, int count) => _mapping.Slice((long)offset, count);

    public void Dispose()
    {
        _mapping.Dispose();
        _budget.Return(_mapping.Bytes);
    }
}
