namespace KvMesh.Engine.Blocks;

/// <summary>
/// The blocks of one tenant, model and revision between two purges. A purge puts a new scope in its place and marks this one:
/// every block of it is invisible at once, and its space is taken back afterwards.
/// </summary>
internal sealed class Scope(Tenant tenant, string model, string revision, uint epoch)
{
    private long _blocks;
    private volatile bool _isPurged;

    public Tenant Tenant { get; } = tenant;

    public string Model { get; } = model;

    public string Revision { get; } = revision;

    /// <summary>Purges before this scope. Stored with each block.</summary>
    public uint Epoch { get; } = epoch;

    public bool IsPurged => _isPurged;

    /// <summary>Blocks of the scope that are in the index.</summary>
    public long Blocks => Interlocked.Read(ref _blocks);

    public void Count(int blocks) => Interlocked.Add(ref _blocks, blocks);

    public void MarkPurged() => _isPurged = true;
}
