using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text;
using KvMesh.Client.Connections;
using KvMesh.Client.Operations;
using KvMesh.Client.Sequences;
using KvMesh.Client.SharedMemory;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sequences;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client;

/// <summary>
/// Talks to one node. Every member may be called from any thread. Operations on blocks report their outcome as values: a node
/// that is lost, slow or full is a miss, never an exception. They throw only for cancellation, bad arguments and use after disposal.
/// </summary>
public sealed partial class KvMeshClient : IAsyncDisposable
{
    /// <summary>Longest wait of one request for events; the node answers sooner when there are some.</summary>
    private static readonly TimeSpan WatchWait = TimeSpan.FromSeconds(5);

    private readonly ClientOptions _options;
    private readonly ConnectionPool _pool;
    private readonly EncodedReads? _encoded;
    private readonly BlockClient _blocks;

    private KvMeshClient(ClientOptions options, ConnectionPool pool, NodeConnection first)
    {
        _options = options;
        _pool = pool;
        _encoded = options.Decoder is { } decoder && (first.Hello.Capabilities & NativeCapabilities.EncodedBlocks) != 0 ? new EncodedReads(decoder) : null;
        Sequences = new SequenceClient(pool);
        Hello = first.Hello;
        Transport = first.Arena is not null ? ClientTransport.SharedMemory : first.IsUnix ? ClientTransport.Unix : ClientTransport.Tcp;
        var reader = new BlockReader(pool, options.Time, options.VerifyChecksums, _encoded);
        var opener = new BlockOpener(pool, reader, options.Time, options.VerifyChecksums);
        var writer = new BlockWriter(pool);
        _blocks = new BlockClient(pool, reader, opener, writer, SharesMemory, losslessOnly: false);
        Lossless = new BlockClient(pool, reader, opener, writer, SharesMemory, losslessOnly: true);
    }

    /// <summary>The node's greeting: its name, limits and this caller's rights.</summary>
    public HelloResponse Hello { get; }

    /// <summary>How block bytes travel.</summary>
    public ClientTransport Transport { get; }

    /// <summary>The tenant that the token belongs to.</summary>
    public string Tenant => Hello.Tenant;

    /// <summary>Sequences of this tenant.</summary>
    public SequenceClient Sequences { get; }

    /// <summary>
    /// The same reads and writes, where every bit counts: a copy that has lost something is a miss to each read, whatever <see cref="ClientOptions.LosslessReads"/>
    /// says, and no copy of what is written may lose anything.
    /// </summary>
    public BlockClient Lossless { get; }

    /// <summary>Blocks that came encoded; all 0 without <see cref="ClientOptions.Decoder"/>, or with a node that sends none.</summary>
    public EncodedFigures Encoded => _encoded?.ToFigures() ?? default;

    private bool SharesMemory => Transport == ClientTransport.SharedMemory;

    /// <summary>Connects and authenticates.</summary>
    /// <exception cref="KvMeshConnectException">The node cannot be reached, refuses the token or speaks another version.</exception>
    public static async ValueTask<KvMeshClient> ConnectAsync(ClientOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        var pool = new ConnectionPool(options);
        try
        {
            return new KvMeshClient(options, pool, await pool.ConnectFirstAsync(cancellationToken).ConfigureAwait(false));
        }
        catch (Exception error)
        {
            await pool.DisposeAsync().ConfigureAwait(false);
            if (error is ChannelException)
            {
                throw new KvMeshConnectException($"{options.Endpoint} cannot be reached: {error.Message}", error);
            }

            throw;
        }
    }

    /// <summary>Reads and writes for a sequence: <see cref="Lossless"/> for one that is lossless only, and as of this client for any other.</summary>
    public BlockClient BlocksOf(SequenceInfo sequence)
    {
        ArgumentNullException.ThrowIfNull(sequence);
        return sequence.LosslessOnly ? Lossless : _blocks;
    }

    /// <summary>How many blocks of a chain the node has, from the first on. They stay readable for <paramref name="lease"/>, budget permitting.</summary>
    /// <param name="hashes">Chain hashes in order, 32 bytes each.</param>
    public ValueTask<PrefixMatch> MatchPrefixAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, TimeSpan lease, CancellationToken cancellationToken) =>
        _blocks.MatchPrefixAsync(scope, hashes, lease, cancellationToken);

    /// <summary>Reads a block into the caller's memory.</summary>
    public ValueTask<GetResult> GetAsync(BlockScope scope, ReadOnlyMemory<byte> hash, Memory<byte> destination, CancellationToken cancellationToken) =>
        _blocks.GetAsync(scope, hash, destination, cancellationToken);

    /// <summary>Reads bytes of a block from <paramref name="offset"/> on, until the destination is full or the block ends.</summary>
    public ValueTask<GetResult> GetRangeAsync(BlockScope scope, ReadOnlyMemory<byte> hash, long offset, Memory<byte> destination, CancellationToken cancellationToken) =>
        _blocks.GetRangeAsync(scope, hash, offset, destination, cancellationToken);

    /// <summary>Reads several blocks: block i to <c>i × blockBytes</c> of the destination. Returns how many were hits.</summary>
    public ValueTask<int> GetManyAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, Memory<byte> destination, int blockBytes, Memory<GetResult> results, CancellationToken cancellationToken) =>
        _blocks.GetManyAsync(scope, hashes, destination, blockBytes, results, cancellationToken);

    /// <summary>Opens a block where it is. Null is a miss.</summary>
    public ValueTask<LeasedBlock?> LeaseAsync(BlockScope scope, ReadOnlyMemory<byte> hash, CancellationToken cancellationToken) =>
        _blocks.LeaseAsync(scope, hash, cancellationToken);

    /// <summary>
    /// Opens several blocks where they are, one after the other and in order; null is a miss. A block is valid until the next is asked for. Leases
    /// are taken ahead, many with one request: this is the fastest way to read blocks.
    /// </summary>
    public IAsyncEnumerable<LeasedBlock?> LeaseManyAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, CancellationToken cancellationToken) =>
        _blocks.LeaseManyAsync(scope, hashes, cancellationToken);

    /// <summary>
    /// Memory to build payloads in; dispose it when they are written. Where memory is shared with the node, what is put out of it (all of it, or any slice)
    /// is not copied on this side: the node reads it where it is, so its bytes must not change until the put has returned, with
    /// whatever status: what was not stored by then is not stored later. It may be filled and put again as often as needed. Blocks of one <see cref="PutManyAsync"/> belong into one such memory. Where there is no room to share, it is
    /// ordinary memory, and puts out of it are ordinary puts.
    /// </summary>
    /// <param name="bytes">At least 1; of what is shared, a connection has <see cref="ClientOptions.StagingBytes"/> in all.</param>
    public async ValueTask<IMemoryOwner<byte>> RentAsync(int bytes, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 1);
        return SharesMemory && await _pool.RentAsync(bytes, cancellationToken).ConfigureAwait(false) is { } staged ? staged : new PooledMemory(bytes);
    }

    /// <summary>Writes a block.</summary>
    /// <param name="parentHash">Hash of the block before it in its chain; empty for the first.</param>
    public ValueTask<PutStatus> PutAsync(BlockScope scope, ReadOnlyMemory<byte> hash, ReadOnlyMemory<byte> parentHash, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) =>
        _blocks.PutAsync(scope, hash, parentHash, payload, cancellationToken);

    /// <summary>Writes consecutive blocks of a chain. They are offered first; only bytes that the node lacks are sent.</summary>
    /// <param name="parentHash">Hash of the block before the first of them; empty when that is the first of its chain.</param>
    public ValueTask PutManyAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, ReadOnlyMemory<byte> parentHash, IReadOnlyList<ReadOnlyMemory<byte>> payloads, Memory<PutStatus> results, CancellationToken cancellationToken) =>
        _blocks.PutManyAsync(scope, hashes, parentHash, payloads, results, cancellationToken);

    /// <summary>Which of several blocks the node has. Returns how many.</summary>
    public ValueTask<int> ExistsAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, Memory<bool> present, CancellationToken cancellationToken) =>
        _blocks.ExistsAsync(scope, hashes, present, cancellationToken);

    /// <summary>Removes a block. False when there was none, or the node could not be asked.</summary>
    public ValueTask<bool> RemoveAsync(BlockScope scope, ReadOnlyMemory<byte> hash, CancellationToken cancellationToken) => RemoveAsync(KeySelection.One(scope, hash), cancellationToken);

    /// <summary>Reads the value of an opaque key.</summary>
    public ValueTask<GetResult> GetKeyAsync(ReadOnlyMemory<byte> key, Memory<byte> destination, CancellationToken cancellationToken) =>
        _blocks.GetKeyAsync(key, destination, cancellationToken);

    /// <summary>Writes the value of an opaque key; an earlier value is replaced.</summary>
    public ValueTask<PutStatus> PutKeyAsync(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) =>
        _blocks.PutKeyAsync(key, payload, cancellationToken);

    /// <summary>Whether an opaque key has a value.</summary>
    public ValueTask<bool> ExistsKeyAsync(ReadOnlyMemory<byte> key, CancellationToken cancellationToken) =>
        _blocks.ExistsKeyAsync(key, cancellationToken);

    /// <summary>Removes an opaque key. False when there was none, or the node could not be asked.</summary>
    public ValueTask<bool> RemoveKeyAsync(ReadOnlyMemory<byte> key, CancellationToken cancellationToken) => RemoveAsync(KeySelection.Opaque(key), cancellationToken);

    /// <summary>Figures of the node as a JSON object, or null when it could not be asked.</summary>
    public async ValueTask<string?> StatsAsync(CancellationToken cancellationToken)
    {
        var stats = new StatsOperation();
        return await IsDoneAsync(stats, cancellationToken).ConfigureAwait(false) ? Encoding.UTF8.GetString(stats.Json) : null;
    }

    /// <summary>Asks the node for a sign of life. Null when it gives none in time.</summary>
    public async ValueTask<TimeSpan?> PingAsync(CancellationToken cancellationToken)
    {
        var startedAt = _options.Time.GetTimestamp();
        return await IsDoneAsync(new PingOperation(), cancellationToken).ConfigureAwait(false) ? _options.Time.GetElapsedTime(startedAt) : null;
    }

    /// <summary>
    /// The tenant's block events after <paramref name="afterSequence"/>, as they happen; 0 begins with the oldest kept. Ends when the
    /// node is lost; the caller resumes after the last sequence number it saw.
    /// </summary>
    public IAsyncEnumerable<BlockChange> WatchAsync(long afterSequence, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(afterSequence);
        return WatchOwnAsync(afterSequence, cancellationToken);
    }

    /// <summary>Closes the connections and ends what is still under way as failed.</summary>
    public ValueTask DisposeAsync() => _pool.DisposeAsync();

    private async ValueTask<bool> RemoveAsync(KeySelection key, CancellationToken cancellationToken)
    {
        var remove = BitsOperation.Remove(key, new bool[1]);
        return await IsDoneAsync(remove, cancellationToken).ConfigureAwait(false) && remove.Count == 1;
    }

    private async ValueTask<bool> IsDoneAsync(Operation operation, CancellationToken cancellationToken) =>
        await _pool.RunAsync(operation, cancellationToken).ConfigureAwait(false) is not null && operation.Outcome == OperationOutcome.Done;

    /// <summary>Watches on a connection of its own, since a node answers one connection's requests in order.</summary>
    private async IAsyncEnumerable<BlockChange> WatchOwnAsync(long afterSequence, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var wait = _options.RequestTimeout / 2 < WatchWait ? _options.RequestTimeout / 2 : WatchWait;
        await using var connection = await _pool.DialForWatchAsync(cancellationToken).ConfigureAwait(false);
        while (connection is not null)
        {
            var watch = new WatchOperation(afterSequence, wait);
            await connection.ExecuteAsync(watch, cancellationToken).ConfigureAwait(false);
            if (watch.Outcome != OperationOutcome.Done)
            {
                yield break;
            }

            foreach (var change in watch.Changes)
            {
                yield return change;
            }

            afterSequence = watch.NextAfter;
        }
    }
}
