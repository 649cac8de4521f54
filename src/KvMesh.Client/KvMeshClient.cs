using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text;
using KvMesh.Client.Connections;
using KvMesh.Client.Operations;
using KvMesh.Client.Sequences;
using KvMesh.Client.SharedMemory;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client;

/// <summary>
/// Talks to one node. Every member may be called from any thread. Operations on blocks report their outcome as values: a node
/// that is lost, slow or full is a miss, never an exception. They throw only for cancellation, bad arguments and use after disposal.
/// </summary>
public sealed class KvMeshClient : IAsyncDisposable
{
    /// <summary>Longest wait of one request for events; the node answers sooner when there are some.</summary>
    private static readonly TimeSpan WatchWait = TimeSpan.FromSeconds(5);

    private readonly ClientOptions _options;
    private readonly ConnectionPool _pool;
    private readonly BlockReader _reader;
    private readonly BlockOpener _opener;
    private readonly BlockWriter _writer;

    private KvMeshClient(ClientOptions options, ConnectionPool pool, NodeConnection first)
    {
        _options = options;
        _pool = pool;
        _reader = new BlockReader(pool, options.VerifyChecksums);
        _opener = new BlockOpener(pool, _reader, options.Time, options.VerifyChecksums);
        _writer = new BlockWriter(pool);
        Sequences = new SequenceClient(pool);
        Hello = first.Hello;
        Transport = first.Arena is not null ? ClientTransport.SharedMemory : first.IsUnix ? ClientTransport.Unix : ClientTransport.Tcp;
    }

    /// <summary>The node's greeting: its name, limits and this caller's rights.</summary>
    public HelloResponse Hello { get; }

    /// <summary>How block bytes travel.</summary>
    public ClientTransport Transport { get; }

    /// <summary>The tenant that the token belongs to.</summary>
    public string Tenant => Hello.Tenant;

    /// <summary>Sequences of this tenant.</summary>
    public SequenceClient Sequences { get; }

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

    /// <summary>How many blocks of a chain the node has, from the first on. They stay readable for <paramref name="lease"/>, budget permitting.</summary>
    /// <param name="hashes">Chain hashes in order, 32 bytes each.</param>
    public async ValueTask<PrefixMatch> MatchPrefixAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, TimeSpan lease, CancellationToken cancellationToken)
    {
        // A chain longer than one request holds is matched as far as one request holds.
        var keys = KeySelection.Many(scope, hashes[..Math.Min(hashes.Length, Limits.MaxBlocksPerRequest * Limits.ChainHashBytes)]);
        var match = new MatchOperation(keys, (uint)Math.Clamp(lease.TotalMilliseconds, 0, uint.MaxValue));
        return keys.Count > 0 && await IsDoneAsync(match, cancellationToken).ConfigureAwait(false) ? match.Match : default;
    }

    /// <summary>Reads a block into the caller's memory.</summary>
    public ValueTask<GetResult> GetAsync(BlockScope scope, ReadOnlyMemory<byte> hash, Memory<byte> destination, CancellationToken cancellationToken) =>
        _reader.GetAsync(KeySelection.One(scope, hash), destination, SharesMemory, cancellationToken);

    /// <summary>Reads bytes of a block from <paramref name="offset"/> on, until the destination is full or the block ends.</summary>
    public ValueTask<GetResult> GetRangeAsync(BlockScope scope, ReadOnlyMemory<byte> hash, long offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Limits.MaxBlockBytes);
        return _reader.GetRangeAsync(KeySelection.One(scope, hash), offset, destination, cancellationToken);
    }

    /// <summary>Reads several blocks: block i to <c>i × blockBytes</c> of the destination. Returns how many were hits.</summary>
    public ValueTask<int> GetManyAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, Memory<byte> destination, int blockBytes, Memory<GetResult> results, CancellationToken cancellationToken)
    {
        var keys = KeySelection.Many(scope, hashes);
        ArgumentOutOfRangeException.ThrowIfNegative(blockBytes);
        ArgumentOutOfRangeException.ThrowIfLessThan(results.Length, keys.Count, nameof(results));
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, keys.Count * (long)blockBytes, nameof(destination));
        return _reader.GetManyAsync(keys, destination, blockBytes, results, SharesMemory, cancellationToken);
    }

    /// <summary>Opens a block where it is. Null is a miss.</summary>
    public ValueTask<LeasedBlock?> LeaseAsync(BlockScope scope, ReadOnlyMemory<byte> hash, CancellationToken cancellationToken) =>
        _opener.OpenAsync(KeySelection.One(scope, hash), SharesMemory, cancellationToken);

    /// <summary>
    /// Opens several blocks where they are, one after the other and in order; null is a miss. A block is valid until the next is asked for. Leases
    /// are taken ahead, many with one request: this is the fastest way to read blocks.
    /// </summary>
    public IAsyncEnumerable<LeasedBlock?> LeaseManyAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, CancellationToken cancellationToken) =>
        _opener.OpenManyAsync(KeySelection.Many(scope, hashes), SharesMemory, cancellationToken);

    /// <summary>
    /// Memory to build payloads in; dispose it when they are written. Where memory is shared with the node, what is put out of it (all of it, or any slice)
    /// is not copied on this side: the node reads it where it is, so its bytes must not change until the put has returned. It may be filled and
    /// put again as often as needed. Blocks of one <see cref="PutManyAsync"/> belong into one such memory. Where there is no room to share, it is
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
    public ValueTask<PutStatus> PutAsync(BlockScope scope, ReadOnlyMemory<byte> hash, ReadOnlyMemory<byte> parentHash, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        CheckParent(parentHash);
        return _writer.PutAsync(KeySelection.One(scope, hash), parentHash, payload, cancellationToken);
    }

    /// <summary>Writes consecutive blocks of a chain. They are offered first; only bytes that the node lacks are sent.</summary>
    /// <param name="parentHash">Hash of the block before the first of them; empty when that is the first of its chain.</param>
    public ValueTask PutManyAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, ReadOnlyMemory<byte> parentHash, IReadOnlyList<ReadOnlyMemory<byte>> payloads, Memory<PutStatus> results, CancellationToken cancellationToken)
    {
        var keys = KeySelection.Many(scope, hashes);
        CheckParent(parentHash);
        ArgumentNullException.ThrowIfNull(payloads);
        ArgumentOutOfRangeException.ThrowIfNotEqual(payloads.Count, keys.Count, nameof(payloads));
        ArgumentOutOfRangeException.ThrowIfLessThan(results.Length, keys.Count, nameof(results));
        return _writer.PutManyAsync(keys, hashes, parentHash, payloads, results, cancellationToken);
    }

    /// <summary>Which of several blocks the node has. Returns how many.</summary>
    public async ValueTask<int> ExistsAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, Memory<bool> present, CancellationToken cancellationToken)
    {
        var keys = KeySelection.Many(scope, hashes);
        ArgumentOutOfRangeException.ThrowIfLessThan(present.Length, keys.Count, nameof(present));
        present.Span[..keys.Count].Clear();
        var count = 0;
        for (var start = 0; start < keys.Count; start += Limits.MaxBlocksPerRequest)
        {
            var some = Math.Min(Limits.MaxBlocksPerRequest, keys.Count - start);
            var exists = BitsOperation.Exists(keys.Slice(start, some), present.Slice(start, some));
            count += await IsDoneAsync(exists, cancellationToken).ConfigureAwait(false) ? exists.Count : 0;
        }

        return count;
    }

    /// <summary>Removes a block. False when there was none, or the node could not be asked.</summary>
    public ValueTask<bool> RemoveAsync(BlockScope scope, ReadOnlyMemory<byte> hash, CancellationToken cancellationToken) => RemoveAsync(KeySelection.One(scope, hash), cancellationToken);

    /// <summary>Reads the value of an opaque key.</summary>
    public ValueTask<GetResult> GetKeyAsync(ReadOnlyMemory<byte> key, Memory<byte> destination, CancellationToken cancellationToken) =>
        _reader.GetAsync(KeySelection.Opaque(key), destination, SharesMemory, cancellationToken);

    /// <summary>Writes the value of an opaque key; an earlier value is replaced.</summary>
    public ValueTask<PutStatus> PutKeyAsync(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) =>
        _writer.PutAsync(KeySelection.Opaque(key), default, payload, cancellationToken);

    /// <summary>Whether an opaque key has a value.</summary>
    public async ValueTask<bool> ExistsKeyAsync(ReadOnlyMemory<byte> key, CancellationToken cancellationToken)
    {
        var exists = BitsOperation.Exists(KeySelection.Opaque(key), new bool[1]);
        return await IsDoneAsync(exists, cancellationToken).ConfigureAwait(false) && exists.Count == 1;
    }

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

    private static void CheckParent(ReadOnlyMemory<byte> parentHash)
    {
        if (parentHash.Length is not (0 or Limits.ChainHashBytes))
        {
            throw new ArgumentException($"parentHash has {parentHash.Length} bytes; it must have {Limits.ChainHashBytes}, or none for the first block.", nameof(parentHash));
        }
    }

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
