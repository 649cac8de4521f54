using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Protocol.Admin;
using StackExchange.Redis;

namespace KvMesh.Remote.Redis.Coordination;

/// <summary>
/// The journal of placement in Redis, beside the scheduler's lease: <c>placement</c> is a hash of paused and last_order, <c>audit</c> a stream that keeps so many
/// lines, <c>orders</c> a hash of id to JSON. Both scripts look at the token of <c>meta</c>, which the lease raises from term to term. Redis 5 or later.
/// </summary>
public sealed class RedisPlacementJournal : IPlacementJournal
{
    private const string Fence = """
        if tonumber(redis.call('HGET', KEYS[1], 'token') or '0') > tonumber(ARGV[1]) then
          return false
        end

        """;

    /// <summary>Keys: meta, placement, audit, orders. Arguments: token, most lines. Returns {paused, last order, {at, actor, action, subject, …}, {order, …}}, or nothing.</summary>
    private const string Read = Fence + """
        local kept = redis.call('HMGET', KEYS[2], 'paused', 'last_order')
        local lines = {}
        local entries = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', ARGV[2])
        for index = #entries, 1, -1 do
          for field = 2, 8, 2 do
            lines[#lines + 1] = entries[index][2][field] or ''
          end
        end
        return {kept[1] or '0', kept[2] or '0', lines, redis.call('HVALS', KEYS[4])}
        """;

    /// <summary>
    /// Keys: meta, placement, audit, orders. Arguments: token, most lines, paused (nothing: as before), last order, lines, orders, then for each line at, actor, action,
    /// subject, for each order id and JSON, and the ids that go. Returns 1, or nothing.
    /// </summary>
    private const string Write = Fence + """
        local next = 7
        if ARGV[3] ~= '' then
          redis.call('HSET', KEYS[2], 'paused', ARGV[3])
        end
        if tonumber(ARGV[4]) > (tonumber(redis.call('HGET', KEYS[2], 'last_order') or '0') or 0) then
          redis.call('HSET', KEYS[2], 'last_order', ARGV[4])
        end
        for _ = 1, tonumber(ARGV[5]) do
          redis.call('XADD', KEYS[3], 'MAXLEN', ARGV[2], '*', 'at', ARGV[next], 'actor', ARGV[next + 1], 'action', ARGV[next + 2], 'subject', ARGV[next + 3])
          next = next + 4
        end
        for _ = 1, tonumber(ARGV[6]) do
          redis.call('HSET', KEYS[4], ARGV[next], ARGV[next + 1])
          next = next + 2
        end
        for index = next, #ARGV do
          redis.call('HDEL', KEYS[4], ARGV[index])
        end
        return 1
        """;

    private readonly RedisLink _link;
    private readonly RedisKey[] _keys;
    private readonly TimeSpan _timeout;
    private readonly int _maxAudit;

    /// <param name="link">Owned by the caller.</param>
    /// <param name="timeout">Longest wait for one answer.</param>
    public RedisPlacementJournal(RedisLink link, string cluster, TimeSpan timeout)
        : this(link, cluster, timeout, JournalLimits.MaxAudit)
    {
    }

    internal RedisPlacementJournal(RedisLink link, string cluster, TimeSpan timeout, int maxAudit)
    {
        _link = link;
        _timeout = timeout;
        _maxAudit = maxAudit;
        var prefix = ClusterKeys.Prefix(cluster);
        _keys = [prefix + "meta", prefix + "placement", prefix + "audit", prefix + "orders"];
    }

    public async ValueTask<JournalPage?> ReadAsync(long token, CancellationToken cancellationToken)
    {
        var result = await AskAsync(Read, [token, _maxAudit], cancellationToken).ConfigureAwait(false);
        return result.IsNull ? null
            : (RedisResult[]?)result is { Length: 4 } reply
                ? new JournalPage(
                    Lines((RedisValue[]?)reply[2] ?? []), (string?)reply[0] == "1", Number((string?)reply[1]), Orders((RedisValue[]?)reply[3] ?? []))
                : JournalPage.Empty;
    }

    public async ValueTask<bool> WriteAsync(long token, JournalChange change, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(change);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(change.Orders.Length, JournalLimits.MaxOrdersPerWrite, nameof(change));
        var audit = change.Audit.TakeLast(_maxAudit).ToList();
        RedisValue[] values =
        [
            token, _maxAudit, change.IsPaused switch { true => "1", false => "0", _ => "" }, change.LastOrder, audit.Count, change.Orders.Length,
            .. audit.SelectMany(line => new RedisValue[] { line.At.ToUnixTimeMilliseconds(), line.Actor, line.Action, line.Subject }),
            .. change.Orders.SelectMany(order => new RedisValue[] { order.Id, JsonSerializer.Serialize(order, AdminJson.Default.OrderStatus) }),
            .. change.Gone.Select(id => (RedisValue)id),
        ];
        return !(await AskAsync(Write, values, cancellationToken).ConfigureAwait(false)).IsNull;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static ImmutableArray<AuditLine> Lines(RedisValue[] fields) =>
        [.. fields.Chunk(4).Where(line => line.Length == 4).Select(line => new AuditLine(
            DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(Number((string?)line[0]), 0, 253_402_300_799_999)), $"{line[1]}", $"{line[2]}", $"{line[3]}"))];

    /// <summary>Those that can be read: another version may have written fields that this one does not have, never other meanings.</summary>
    private static ImmutableArray<OrderStatus> Orders(RedisValue[] texts)
    {
        var orders = ImmutableArray.CreateBuilder<OrderStatus>(texts.Length);
        foreach (var text in texts)
        {
            try
            {
                if (JsonSerializer.Deserialize((string?)text ?? "", AdminJson.Default.OrderStatus) is { Id: > 0 } order)
                {
                    orders.Add(order);
                }
            }
            catch (JsonException)
            {
                // No scheduler wrote that, so nobody carries it out.
            }
        }

        return orders.ToImmutable();
    }

    private static long Number(string? text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;

    private async ValueTask<RedisResult> AskAsync(string script, RedisValue[] values, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(_timeout);
        try
        {
            return await _link.EvaluateAsync(script, _keys, values, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new StoreSilentException($"{_link.Description} did not answer within {_timeout.TotalSeconds:0.###} s.", exception);
        }
    }
}
