using KvMesh.Cluster.Removals;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.FarTiers;
using Microsoft.Extensions.Logging;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>
/// Blocks in a Redis server that all nodes share, below RAM and disk. Whatever becomes of the server, a node only has a smaller cache:
/// nothing here throws, and no call takes longer than its deadline. Dispose after the engine has stopped to ask.
/// </summary>
public sealed class RedisBlockTier : IBlockTier, IDisposable
{
    private readonly RedisTierMetrics _metrics = new();
    private readonly RedisServerLink _link;
    private readonly RedisRemovals _removals;
    private readonly RedisBlockReader _reader;
    private readonly RedisBlockWriter _writer;
    private readonly RedisPresence _presence;
    private readonly Removals? _log;

    /// <param name="cluster">Nodes of one name share blocks; at most 64 letters, digits and '-', '_', '.'.</param>
    /// <param name="tenants">The node's tenants.</param>
    /// <param name="markerPath">A file that is there while Redis has not heard of all removals; empty: a restart forgets them.</param>
    /// <param name="log">What was removed in the cluster; null: only what this node and Redis know.</param>
    /// <param name="coder">Writes blocks in fewer bytes, and reads what was written so; null: blocks are written as they are, and encoded ones are misses.</param>
    /// <exception cref="SecretFileException">A key or password file is not what it should be.</exception>
    public RedisBlockTier(
        RedisTierOptions options, string cluster, IEnumerable<Tenant> tenants, string markerPath, TimeProvider time, ILoggerFactory loggers,
        Removals? log = null, IPayloadCoder? coder = null)
    {
        ArgumentNullException.ThrowIfNull(tenants);
        ArgumentNullException.ThrowIfNull(options);
        var logger = loggers.CreateLogger<RedisBlockTier>();
        var keys = new RedisKeys(options.Prefix, cluster);
        var cipher = new RecordCipher([.. options.KeyFiles.Select(SecretFile.ReadKey)]);
        var marker = new RemovalMarker(markerPath, logger);
        var hasMissedRemovals = marker.IsSet;
        _link = new RedisServerLink(options, _metrics, time, logger);
        _removals = new RedisRemovals(_link, keys, options, _metrics, marker, logger);
        _log = log;
        _reader = new RedisBlockReader(_link, keys, cipher, _removals, log, options, _metrics, time, coder);
        var encoder = coder is null ? null : new RedisPayloadEncoder(coder, options.EncodeShare, _metrics, time);
        _writer = new RedisBlockWriter(_link, keys, cipher, _removals, log, options, _metrics, time, encoder);
        _presence = new RedisPresence(_link, keys, _removals, options, _metrics);
        if (hasMissedRemovals)
        {
            foreach (var tenant in tenants)
            {
                ForgetScope(tenant, null, null);
            }
        }
    }

    /// <summary>What was encoded for Redis and decoded from it, in any codec.</summary>
    public CodingSnapshot Coding => new(
        Interlocked.Read(ref _metrics.Encoded) + Interlocked.Read(ref _metrics.Decoded) == 0
            ? []
            :
            [
                new CodecSnapshot(
                    "any", Interlocked.Read(ref _metrics.Encoded), Interlocked.Read(ref _metrics.EncodedFromBytes), Interlocked.Read(ref _metrics.EncodedToBytes),
                    TimeSpan.Zero, Interlocked.Read(ref _metrics.Decoded), 0, TimeSpan.Zero),
            ],
        [new FallbackSnapshot("not-encoded", Interlocked.Read(ref _metrics.NotEncoded))],
        0);

    /// <inheritdoc/>
    public string Name => "redis";

    /// <inheritdoc/>
    public bool TakesOffers => _link.IsWritable;

    /// <summary>Publishes this tier's figures, <c>kvmesh.redis.*</c>.</summary>
    public void Publish(System.Diagnostics.Metrics.Meter meter) =>
        _metrics.Publish(meter, () => _link.IsUp, () => _link.IsWritable, () => _removals.Pending, () => _reader.BytesInFlight);

    /// <summary>Whether the server is asked; false while its breaker is open.</summary>
    public bool IsUp => _link.IsUp;

    /// <summary>Whether the server is given blocks.</summary>
    public bool IsWritable => _link.IsWritable;

    internal RedisTierMetrics Metrics => _metrics;

    /// <summary>Removals and purges that Redis has not heard of.</summary>
    internal long Pending => _removals.Pending;

    /// <inheritdoc/>
    public ulong Believes(Tenant tenant, ReadOnlySpan<byte> key) => MayHold(tenant, key) ? 1UL : 0;

    /// <inheritdoc/>
    public bool Has(Tenant tenant, ReadOnlySpan<byte> key) => MayHold(tenant, key) && _presence.IsThere(NameOf(tenant, key));

    /// <inheritdoc/>
    public int CountPrefix(Tenant tenant, KeyRun keys, int from) =>
        _link.IsUp && !IsPurging(tenant) ? _presence.CountPrefix(_removals.KeysOf(tenant.Name), keys, from) : 0;

    /// <inheritdoc/>
    public FetchOutcome Fetch(Tenant tenant, ReadOnlySpan<byte> key, ulong belief, IBlockIntake intake) =>
        MayHold(tenant, key) ? _reader.Fetch(_removals.KeysOf(tenant.Name), key, intake) : FetchOutcome.NotHere;

    /// <inheritdoc/>
    public bool Offer(in LeavingBlock block) => _writer.Offer(block);

    /// <inheritdoc/>
    public bool Forget(Tenant tenant, ReadOnlySpan<byte> key)
    {
        _removals.Remove(NameOf(tenant, key));
        return false;
    }

    /// <inheritdoc/>
    public void ForgetScope(Tenant tenant, string? model, string? revision) =>
        _removals.PurgeScope(_removals.KeysOf(tenant.Name), model, revision);

    /// <inheritdoc/>
    public void Drop(Tenant tenant, ReadOnlySpan<byte> key, bool wasHere)
    {
        // Whoever removed it took it away here too, but this node may have written it after that.
        if (NameOf(tenant, key) is var name && (wasHere || _writer.WroteLately(name)))
        {
            _removals.Remove(name);
        }
    }

    public void Dispose()
    {
        _removals.Dispose();
        _link.Dispose();
    }

    /// <summary>What memory tells: the server is asked at all, and what was removed here is not shown again.</summary>
    private bool MayHold(Tenant tenant, ReadOnlySpan<byte> key) =>
        _link.IsUp && !IsPurging(tenant) && _log?.IsQuiet(tenant.Name, key) != true && (_removals.Pending == 0 || !_removals.IsHidden(NameOf(tenant, key)));

    private bool IsPurging(Tenant tenant) => _removals.IsPurging(tenant.Name) || _log?.IsPurging(tenant.Name) == true;

    private BlockName NameOf(Tenant tenant, ReadOnlySpan<byte> key) => BlockName.Of(_removals.KeysOf(tenant.Name).Utf8, key);
}
