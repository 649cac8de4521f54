namespace KvMesh.Client;

/// <summary>
/// A block that is read where it is: in the node's arena when memory is shared, else in a buffer of the client. Use it from one
/// thread at a time and dispose it soon, since the node keeps the memory for it.
/// </summary>
public sealed class LeasedBlock : IDisposable
{
    /// <summary>The payload. Valid until <see cref="Release"/> or <see cref="Dispose"/>; what was read counts only if Release says so.</summary>
    public ReadOnlySpan<byte> Span => throw new NotImplementedException();

    /// <summary>Gives the block back. True when the bytes were valid throughout; false: treat everything read from it as a miss.</summary>
    public bool Release() => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
