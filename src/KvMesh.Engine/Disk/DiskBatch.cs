namespace KvMesh.Engine.Disk;

/// <summary>
/// Small records gathered into one write. Made by <see cref="DiskTier.CreateBatch"/>, used by one thread at a time, and empty again
/// after <see cref="DiskTier.TryAppend(DiskBatch, Span{DiskLocation})"/>.
/// </summary>
internal sealed class DiskBatch : IDisposable
{
    public int Count => throw new NotImplementedException();

    /// <summary>Copies a record and its extent in. False when the batch has no room for it: append the batch, then try again.</summary>
    public bool TryAdd(in DiskRecord record, ReadOnlySpan<byte> extent) => throw new NotImplementedException();

    public void Clear() => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
