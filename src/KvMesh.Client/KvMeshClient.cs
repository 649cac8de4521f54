using KvMesh.Protocol.Keys;

namespace KvMesh.Client;

/// <summary>
/// Talks to one node. Every member may be called from any thread. Operations on blocks report their outcome as values: a node
/// that is lost, slow or full is a miss, never an exception. They throw only for cancellation, bad arguments and use after disposal.
/// </summary>
public sealed class KvMeshClient : IAsyncDisposable
{
    private KvMeshClient()
    {
    }

    /// <summary>How block bytes travel.</summary>
    public ClientTransport Transport => throw new NotImplementedException();

    /// <summary>The tenant that the token belongs to.</summary>
    public string Tenant => throw new NotImplementedException();

    /// <summary>Connects and authenticates.</summary>
    /// <exception cref="KvMeshConnectException">The node cannot be reached, refuses the token or speaks another version.</exception>
    public static ValueTask<KvMeshClient> ConnectAsync(ClientOptions options, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>How many blocks of a chain the node has, from the first on. They stay readable for <paramref name="lease"/>, budget permitting.</summary>
    /// <param name="hashes">Chain hashes in order, 32 bytes each.</param>
    public ValueTask<PrefixMatch> MatchPrefixAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, TimeSpan lease, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Reads a block into the caller's memory.</summary>
    public ValueTask<GetResult> GetAsync(BlockScope scope, ReadOnlyMemory<byte> hash, Memory<byte> destination, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Reads bytes of a block from <paramref name="offset"/> on, until the destination is full or the block ends.</summary>
    public ValueTask<GetResult> GetRangeAsync(BlockScope scope, ReadOnlyMemory<byte> hash, long offset, Memory<byte> destination, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Reads several blocks: block i to <c>i × blockBytes</c> of the destination. Returns how many were hits.</summary>
    public ValueTask<int> GetManyAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, Memory<byte> destination, int blockBytes, Memory<GetResult> results, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Opens a block where it is. Null is a miss.</summary>
    public ValueTask<LeasedBlock?> LeaseAsync(BlockScope scope, ReadOnlyMemory<byte> hash, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Writes a block.</summary>
    /// <param name="parentHash">Hash of the block before it in its chain; empty for the first.</param>
    public ValueTask<PutStatus> PutAsync(BlockScope scope, ReadOnlyMemory<byte> hash, ReadOnlyMemory<byte> parentHash, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Writes consecutive blocks of a chain. They are offered first; only bytes that the node lacks are sent.</summary>
    /// <param name="parentHash">Hash of the block before the first of them; empty when that is the first of its chain.</param>
    public ValueTask PutManyAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, ReadOnlyMemory<byte> parentHash, IReadOnlyList<ReadOnlyMemory<byte>> payloads, Memory<PutStatus> results, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Which of several blocks the node has. Returns how many.</summary>
    public ValueTask<int> ExistsAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, Memory<bool> present, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Removes a block. False when there was none, or the node could not be asked.</summary>
    public ValueTask<bool> RemoveAsync(BlockScope scope, ReadOnlyMemory<byte> hash, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Reads the value of an opaque key.</summary>
    public ValueTask<GetResult> GetKeyAsync(ReadOnlyMemory<byte> key, Memory<byte> destination, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Writes the value of an opaque key; an earlier value is replaced.</summary>
    public ValueTask<PutStatus> PutKeyAsync(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Whether an opaque key has a value.</summary>
    public ValueTask<bool> ExistsKeyAsync(ReadOnlyMemory<byte> key, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Removes an opaque key. False when there was none, or the node could not be asked.</summary>
    public ValueTask<bool> RemoveKeyAsync(ReadOnlyMemory<byte> key, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Figures of the node as a JSON object, or null when it could not be asked.</summary>
    public ValueTask<string?> StatsAsync(CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Asks the node for a sign of life. Null when it gives none in time.</summary>
    public ValueTask<TimeSpan?> PingAsync(CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>
    /// The tenant's block events after <paramref name="afterSequence"/>, as they happen; 0 begins with the oldest kept. Ends when the
    /// node is lost; the caller resumes after the last sequence number it saw.
    /// </summary>
    public IAsyncEnumerable<BlockChange> WatchAsync(long afterSequence, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Closes the connections and ends what is still under way as failed.</summary>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
