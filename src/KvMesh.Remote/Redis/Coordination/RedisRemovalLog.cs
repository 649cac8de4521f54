using System.Collections.Immutable;
using System.Globalization;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Removals;
using StackExchange.Redis;

namespace KvMesh.Remote.Redis.Coordination;

/// <summary>The log of removals in Redis: one script a step, in the hash slot of the cluster, news on a channel of its own.</summary>
public sealed class RedisRemovalLog : IRemovalLog
{
    private readonly RedisLink _link;
    private readonly string _cluster;
    private readonly string _channel;
    private readonly RedisKey _meta;
    private readonly RedisKey _purges;
    private readonly RedisKey _removals;
    private readonly RedisKey _progress;
    private readonly int _keptKeys;
    private readonly int _scopes;

    /// <param name="link">Owned by the caller.</param>
    public RedisRemovalLog(RedisLink link, string cluster)
        : this(link, cluster, RemovalLimits.MaxKeptKeys, RemovalLimits.MaxScopes)
    {
    }

    internal RedisRemovalLog(RedisLink link, string cluster, int keptKeys, int scopes)
    {
        _link = link;
        _cluster = cluster;
        (_keptKeys, _scopes) = (keptKeys, scopes);
        var prefix = ClusterKeys.Prefix(cluster);
        (_meta, _purges, _removals, _progress) = (prefix + "meta", prefix + "purges", prefix + "removals", ProgressKey(cluster));
        _channel = prefix + "removed";
        link.Subscribe(_channel, () => Changed?.Invoke());
    }

    public event Action? Changed;

    public string Description => _link.Description;

    public async ValueTask<long> PurgeAsync(PurgeScope scope, string origin, long above, CancellationToken cancellationToken)
    {
        var reply = await _link.EvaluateAsync(
            RemovalScripts.Purge, [_meta, _purges], [origin, above, Fresh(), _channel, _scopes, scope.ToText()], cancellationToken).ConfigureAwait(false);
        return Number((string?)reply);
    }

    public async ValueTask<long> RemoveAsync(IReadOnlyList<RemovedKey> keys, string origin, long above, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(keys);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(keys.Count, RemovalLimits.MaxKeysPerCall, nameof(keys));
        RedisValue[] values =
        [
            origin, above, Fresh(), _channel, _keptKeys, .. keys.SelectMany(key => new RedisValue[] { key.Tenant, key.Key.ToArray() }),
        ];
        var reply = await _link.EvaluateAsync(RemovalScripts.Remove, [_meta, _removals], values, cancellationToken).ConfigureAwait(false);
        return Number((string?)reply);
    }

    public async ValueTask<RemovalPage> ReadAsync(RemovalQuestion question, CancellationToken cancellationToken)
    {
        var reply = (RedisResult[]?)await _link.EvaluateAsync(
            RemovalScripts.Read,
            [_meta, _purges, _removals, _progress],
            [question.Reader.Value, question.Mark, question.Lineage, question.Edition, RemovalLimits.MaxKeysPerPage, Fresh()],
            cancellationToken).ConfigureAwait(false);
        if (reply is not { Length: 8 })
        {
            throw Garbled();
        }

        var purges = (RedisValue[]?)reply[6] ?? [];
        var keys = (RedisValue[]?)reply[7] ?? [];
        return new RemovalPage(
            (string?)reply[0] ?? "", (string?)reply[1] ?? "", Number((string?)reply[2]), Number((string?)reply[3]), Number((string?)reply[4]),
            Number((string?)reply[5]), ReadPurges(purges), ReadKeys(keys));
    }

    public async ValueTask RestoreAsync(string lineage, IReadOnlyList<NumberedPurge> purges, long reached, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(purges);
        RedisValue[] values =
        [
            lineage, reached, Fresh(), _channel, _scopes,
            .. purges.SelectMany(purge => new RedisValue[] { purge.Scope.ToText(), $"{purge.Number.ToString(CultureInfo.InvariantCulture)}|{purge.Origin}" }),
        ];
        await _link.EvaluateAsync(RemovalScripts.Restore, [_meta, _purges], values, cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<ImmutableArray<long>> ProgressAsync(IReadOnlyList<NodeId> nodes, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(nodes);
        var marks = ImmutableArray.CreateBuilder<long>(nodes.Count);
        foreach (var chunk in nodes.Chunk(1024))
        {
            var reply = (RedisValue[]?)await _link.EvaluateAsync(
                RemovalScripts.Progress, [_progress], [.. chunk.Select(node => (RedisValue)node.Value)], cancellationToken).ConfigureAwait(false);
            if (reply is null || reply.Length != chunk.Length)
            {
                throw Garbled();
            }

            marks.AddRange(reply.Select(mark => mark.IsNull ? 0 : Number((string?)mark)));
        }

        return marks.ToImmutable();
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>How far each node has come, which membership forgets with the node.</summary>
    internal static RedisKey ProgressKey(string cluster) => ClusterKeys.Prefix(cluster) + "progress";

    private static string Fresh() => Guid.NewGuid().ToString("n");

    private ImmutableArray<NumberedPurge> ReadPurges(RedisValue[] fields)
    {
        var purges = ImmutableArray.CreateBuilder<NumberedPurge>(fields.Length / 2);
        for (var index = 0; index + 1 < fields.Length; index += 2)
        {
            var value = ((string?)fields[index + 1] ?? "").Split('|', 2);
            if (value.Length == 2 && PurgeScope.TryParse(fields[index], out var scope))
            {
                purges.Add(new NumberedPurge(scope, Number(value[0]), value[1]));
            }
        }

        return purges.ToImmutable();
    }

    private ImmutableArray<NumberedKey> ReadKeys(RedisValue[] fields)
    {
        var keys = ImmutableArray.CreateBuilder<NumberedKey>(fields.Length / 4);
        for (var index = 0; index + 3 < fields.Length; index += 4)
        {
            keys.Add(new NumberedKey(new RemovedKey((string?)fields[index + 1] ?? "", (byte[]?)fields[index + 2] ?? []), Number((string?)fields[index]), (string?)fields[index + 3] ?? ""));
        }

        return keys.ToImmutable();
    }

    private long Number(string? text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw Garbled();

    private StoreSilentException Garbled() => new($"{Description} has no log of removals that can be read under {ClusterKeys.Prefix(_cluster)}.");
}
