namespace KvMesh.Cluster.Removals;

/// <summary>The blocks of this node, as removals of other nodes reach them. One thread at a time; a tenant that the node does not have is passed over.</summary>
public interface IRemovalTarget
{
    /// <summary>Lets the copy of a block go, also one that is on its way.</summary>
    void Drop(string tenant, ReadOnlySpan<byte> key);

    /// <summary>Lets every block of a scope go, also those on their way.</summary>
    void Purge(PurgeScope scope);

    /// <summary>Lets every block of every tenant go: it is not known what was removed.</summary>
    void DropEverything();
}

/// <summary>Where a node keeps what it must know of removals after a restart.</summary>
public interface IRemovalMemory
{
    /// <summary>What was saved last; null: nothing was; <see cref="RemovalState.Lost"/>: something was, and nobody can tell what.</summary>
    RemovalState? Load();

    /// <summary>Saves it as a whole. Never throws: a node that cannot remember says so in its log, and goes on.</summary>
    void Save(RemovalState state);
}

/// <summary>What a node must know of removals after a restart.</summary>
/// <param name="Missing">How far it had come when the present life of the store's data began.</param>
/// <param name="Purges">The purges that it knows of, in force here.</param>
/// <param name="UntoldPurges">Its own that the others have not been told.</param>
/// <param name="UntoldKeys">The same for keys.</param>
public sealed record RemovalState(
    string Lineage,
    string Edition,
    long Mark,
    long Missing,
    long PurgeFloor,
    IReadOnlyList<NumberedPurge> Purges,
    IReadOnlyList<PurgeScope> UntoldPurges,
    IReadOnlyList<RemovedKey> UntoldKeys)
{
    /// <summary>Stands for a state that cannot be read: any block of the node may be one that was removed.</summary>
    public static readonly RemovalState Lost = new("", "", 0, 0, 0, [], [], []);
}
