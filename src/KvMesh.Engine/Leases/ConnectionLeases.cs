using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.Leases;

/// <summary>
/// The leases of one connection. Existence leases run by time and outlive it; residence leases (open reads of a client that
/// maps the arena) end with it. Every member may be called from any thread.
/// </summary>
public sealed class ConnectionLeases : IDisposable
{
    internal ConnectionLeases()
    {
    }

    /// <summary>
    /// Hands an open read to the connection's client and returns its lease id, or 0 when the residence budget is spent, in which
    /// case the read is disposed. The lease ends by <see cref="Release"/>, by time, or with the connection.
    /// </summary>
    public long TakeResidence(BlockRead read, TimeSpan duration) => throw new NotImplementedException();

    /// <summary>Ends a residence lease. False when it had run out: what the client read after that may be another block's bytes.</summary>
    public bool Release(long leaseId) => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
