using KvMesh.Client.Connections;
using KvMesh.Client.Operations;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;

namespace KvMesh.Client;

/// <summary>
/// Reads and writes blocks of a node. Every member may be called from any thread, and reports its outcome as a value, as those of
/// <see cref="KvMeshClient"/>, which has the same.
/// </summary>
public sealed class BlockClient
{
    private readonly ConnectionPool _pool;
    private readonly BlockReader _reader;
    private readonly BlockOpener _opener;
    private readonly BlockWriter _writer;
    private readonly bool _sharesMemory;

    internal BlockClient(ConnectionPool pool, BlockReader reader, BlockOpener opener, BlockWriter writer, bool sharesMemory, bool losslessOnly)
    {
        _pool = pool;
        _reader = reader;
        _opener = opener;
        _writer = writer;
        _sharesMemory = sharesMemory;
        LosslessOnly = losslessOnly;
    }

    /// <summary>Whether a copy that has lost something is a miss to these reads, and no copy of what these calls write may lose anything.</summary>
    public bool LosslessOnly { get; }

    /// <summary>How many blocks of a chain the node has, from the first on. They stay readable for <paramref name="lease"/>, budget permitting.</summary>
    /// <param name="hashes">Chain hashes in order, 32 bytes each.</param>
    public async ValueTask<PrefixMatch> MatchPrefixAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, TimeSpan lease, CancellationToken cancellationToken)
    {
        // A chain longer than one request holds is matched as far as one request holds.
        var keys = Many(scope, hashes[..Math.Min(hashes.Length, Limits.MaxBlocksPerRequest * Limits.ChainHashBytes)]);
        var match = new MatchOperation(keys, (uint)Math.Clamp(lease.TotalMilliseconds, 0, uint.MaxValue));
        return keys.Count > 0 && await IsDoneAsync(match, cancellationToken).ConfigureAwait(false) ? match.Match : default;
    }

    /// <summary>Reads a block into the caller's memory.</summary>
    public ValueTask<GetResult> GetAsync(BlockScope scope, ReadOnlyMemory<byte> hash, Memory<byte> destination, CancellationToken cancellationToken) =>
        _reader.GetAsync(One(scope, hash), destination, _sharesMemory, cancellationToken);

    /// <summary>Reads bytes of a block from <paramref name="offset"/> on, until the destination is full or the block ends.</summary>
    public ValueTask<GetResult> GetRangeAsync(BlockScope scope, ReadOnlyMemory<byte> hash, long offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Limits.MaxBlockBytes);
        return _reader.GetRangeAsync(One(scope, hash), offset, destination, cancellationToken);
    }

    /// <summary>Reads several blocks: block i to <c>i × blockBytes</c> of the destination. Returns how many were hits.</summary>
    public ValueTask<int> GetManyAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, Memory<byte> destination, int blockBytes, Memory<GetResult> results, CancellationToken cancellationToken)
    {
        var keys = Many(scope, hashes);
        ArgumentOutOfRangeException.ThrowIfNegative(blockBytes);
        ArgumentOutOfRangeException.ThrowIfLessThan(results.Length, keys.Count, nameof(results));
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, keys.Count * (long)blockBytes, nameof(destination));
        return _reader.GetManyAsync(keys, destination, blockBytes, results, _sharesMemory, cancellationToken);
    }

    /// <summary>Opens a block where it is. Null is a miss.</summary>
    public ValueTask<LeasedBlock?> LeaseAsync(BlockScope scope, ReadOnlyMemory<byte> hash, CancellationToken cancellationToken) =>
        _opener.OpenAsync(One(scope, hash), _sharesMemory, cancellationToken);

    /// <summary>
    /// Opens several blocks where they are, one after the other and in order; null is a miss. A block is valid until the next is asked for. Leases
    /// are taken ahead, many with one request: this is the fastest way to read blocks.
    /// </summary>
    public IAsyncEnumerable<LeasedBlock?> LeaseManyAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, CancellationToken cancellationToken) =>
        _opener.OpenManyAsync(Many(scope, hashes), _sharesMemory, cancellationToken);

    /// <summary>Writes a block.</summary>
    /// <param name="parentHash">Hash of the block before it in its chain; empty for the first.</param>
    public ValueTask<PutStatus> PutAsync(BlockScope scope, ReadOnlyMemory<byte> hash, ReadOnlyMemory<byte> parentHash, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        CheckParent(parentHash);
        return _writer.PutAsync(One(scope, hash), parentHash, payload, cancellationToken);
    }

    /// <summary>Writes consecutive blocks of a chain. They are offered first; only bytes that the node lacks are sent.</summary>
    /// <param name="parentHash">Hash of the block before the first of them; empty when that is the first of its chain.</param>
    public ValueTask PutManyAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, ReadOnlyMemory<byte> parentHash, IReadOnlyList<ReadOnlyMemory<byte>> payloads, Memory<PutStatus> results, CancellationToken cancellationToken)
    {
        var keys = Many(scope, hashes);
        CheckParent(parentHash);
        ArgumentNullException.ThrowIfNull(payloads);
        ArgumentOutOfRangeException.ThrowIfNotEqual(payloads.Count, keys.Count, nameof(payloads));
        ArgumentOutOfRangeException.ThrowIfLessThan(results.Length, keys.Count, nameof(results));
        return _writer.PutManyAsync(keys, hashes, parentHash, payloads, results, cancellationToken);
    }

    /// <summary>Which of several blocks the node has. Returns how many.</summary>
    public async ValueTask<int> ExistsAsync(BlockScope scope, ReadOnlyMemory<byte> hashes, Memory<bool> present, CancellationToken cancellationToken)
    {
        var keys = Many(scope, hashes);
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

    /// <summary>Reads the value of an opaque key.</summary>
    public ValueTask<GetResult> GetKeyAsync(ReadOnlyMemory<byte> key, Memory<byte> destination, CancellationToken cancellationToken) =>
        _reader.GetAsync(Opaque(key), destination, _sharesMemory, cancellationToken);

    /// <summary>Writes the value of an opaque key; an earlier value is replaced.</summary>
    public ValueTask<PutStatus> PutKeyAsync(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) =>
        _writer.PutAsync(Opaque(key), default, payload, cancellationToken);

    /// <summary>Whether an opaque key has a value.</summary>
    public async ValueTask<bool> ExistsKeyAsync(ReadOnlyMemory<byte> key, CancellationToken cancellationToken)
    {
        var exists = BitsOperation.Exists(Opaque(key), new bool[1]);
        return await IsDoneAsync(exists, cancellationToken).ConfigureAwait(false) && exists.Count == 1;
    }

    internal static void CheckParent(ReadOnlyMemory<byte> parentHash)
    {
        if (parentHash.Length is not (0 or Limits.ChainHashBytes))
        {
            throw new ArgumentException($"parentHash has {parentHash.Length} bytes; it must have {Limits.ChainHashBytes}, or none for the first block.", nameof(parentHash));
        }
    }

    private KeySelection One(BlockScope scope, ReadOnlyMemory<byte> hash) => KeySelection.One(scope, hash) with { LosslessOnly = LosslessOnly };

    private KeySelection Many(BlockScope scope, ReadOnlyMemory<byte> hashes) => KeySelection.Many(scope, hashes) with { LosslessOnly = LosslessOnly };

    private KeySelection Opaque(ReadOnlyMemory<byte> key) => KeySelection.Opaque(key) with { LosslessOnly = LosslessOnly };

    private async ValueTask<bool> IsDoneAsync(Operation operation, CancellationToken cancellationToken) =>
        await _pool.RunAsync(operation, cancellationToken).ConfigureAwait(false) is not null && operation.Outcome == OperationOutcome.Done;
}
