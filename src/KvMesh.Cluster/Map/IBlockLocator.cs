using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Map;

/// <summary>
/// Answers which other nodes hold a block. A hint and never a promise: a node that was named may have let the block go meanwhile,
/// and then the caller has a miss and says so with <see cref="ReportFalseHit"/>. The node that asks is never named itself. Any thread;
/// a call returns at its deadline with what is known by then.
/// </summary>
public interface IBlockLocator
{
    /// <summary>
    /// How many blocks of a chain others hold from block <paramref name="from"/> on. Of a long chain some blocks are looked up and the others
    /// follow from them, since no node lets a block go before those that follow it; where something tore a hole, that costs a miss.
    /// </summary>
    /// <param name="tenant">Name of the tenant that the keys belong to.</param>
    /// <param name="scope">What the keys of the chain have in common; see <see cref="Protocol.Keys.BlockScope"/>.</param>
    /// <param name="hashes">Chain hashes in order, 32 bytes each, the whole chain.</param>
    /// <param name="from">First block that is asked for: what is before it is here already.</param>
    /// <param name="holders">Receives the holders of block <paramref name="from"/> + i at i; no more blocks than it has room for are asked for.</param>
    /// <param name="limit">Longest time that other nodes are waited for. What this node's own map knows costs no wait.</param>
    int MatchPrefix(string tenant, ReadOnlySpan<byte> scope, ReadOnlySpan<byte> hashes, int from, Span<BlockHolders> holders, TimeSpan limit);

    /// <summary>Who holds one block of any key form; nobody when it is not known.</summary>
    BlockHolders Locate(string tenant, ReadOnlySpan<byte> key, TimeSpan limit);

    /// <summary>
    /// Who holds each of many blocks of any key form, asked together: all of them, up to <see cref="HolderLists.MaxNamed"/>. Nobody where it is not known.
    /// </summary>
    /// <param name="holders">As long as <paramref name="keys"/>, and nobody in it; receives the holders of key i at i.</param>
    void LocateAll(string tenant, IReadOnlyList<ReadOnlyMemory<byte>> keys, HolderLists holders, TimeSpan limit);

    /// <summary>A mark of what is known of a block now, for <see cref="ReportFalseHit"/>. To be taken before a node is asked for the block.</summary>
    int MarkOf(string tenant, ReadOnlySpan<byte> key);

    /// <summary>
    /// A node that was named did not have the block: it is not named again for it until it says so itself. Should it have done that since
    /// <paramref name="mark"/>, that stands: it tells its directories itself how a block stands that it was asked for and did not have.
    /// </summary>
    void ReportFalseHit(string tenant, ReadOnlySpan<byte> key, ushort holder, int mark);

    /// <summary>The node behind a number of <see cref="BlockHolders"/>, or null when it has left since.</summary>
    NodeRecord? NodeOf(ushort holder);
}
