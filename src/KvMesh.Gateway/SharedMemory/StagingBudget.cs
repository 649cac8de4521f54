namespace KvMesh.Gateway.SharedMemory;

/// <summary>Bounds the memory of all staging files of a node. Any thread.</summary>
internal sealed class StagingBudget(long totalBytes)
{
    private long _usedBytes;

    /// <summary>Takes bytes from the budget. False when there are not as many left.</summary>
    public bool TryTake(long bytes)
    {
        if (Interlocked.Add(ref _usedBytes, bytes) <= totalBytes)
        {
            return true;
        }

        Return(bytes);
        return false;
    }

    public void Return(long bytes) => Interlocked.Add(ref _usedBytes, -bytes);
}
