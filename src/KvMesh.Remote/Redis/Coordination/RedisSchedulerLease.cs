using System.Globalization;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;
using StackExchange.Redis;

namespace KvMesh.Remote.Redis.Coordination;

/// <summary>
/// The scheduler's lease in Redis: a key that expires, and a fencing token beside it that only grows. Whoever sees the key unchanged
/// for the whole duration by its own clock may take the lease as well, so that a step of the server's clock does not keep a dead
/// scheduler in office. After a loss of the data tokens go on above the server's time and above what any contender has met: also that of a holder whose
/// token others do not follow any more, since a later one was lost with what the server wrote last.
/// </summary>
public sealed class RedisSchedulerLease : ISchedulerLease
{
    /// <summary>Keys: lease, meta. Arguments: contender, a key that was seen unchanged for too long or nothing, least token, duration. Returns {held, token, key}.</summary>
    private const string Hold = """
        local held = redis.call('GET', KEYS[1])
        local token = tonumber(redis.call('HGET', KEYS[2], 'token') or '0')
        local holder, renewals
        if held then
          holder, renewals = string.match(held, '^([^|]*)|(%d+)$')
        end
        if held and holder ~= ARGV[1] and held ~= ARGV[2] then
          return {0, string.format('%.0f', token), held}
        end
        if holder ~= ARGV[1] or token + 1 < tonumber(ARGV[3]) then
          local time = redis.call('TIME')
          token = math.max(token + 1, tonumber(ARGV[3]), time[1] * 1000 + math.floor(time[2] / 1000))
          redis.call('HSET', KEYS[2], 'token', string.format('%.0f', token))
          renewals = '0'
        end
        local value = ARGV[1] .. '|' .. string.format('%.0f', tonumber(renewals) + 1)
        redis.call('SET', KEYS[1], value, 'PX', ARGV[4])
        return {1, string.format('%.0f', token), value}
        """;

    /// <summary>Keys: lease. Arguments: contender.</summary>
    private const string Release = """
        local held = redis.call('GET', KEYS[1])
        if held and string.match(held, '^([^|]*)|') == ARGV[1] then
          return redis.call('DEL', KEYS[1])
        end
        return 0
        """;

    private readonly RedisLink _link;
    private readonly OrderGate _orders;
    private readonly TimeProvider _time;
    private readonly TimeSpan _timeout;
    private readonly string _contender;
    private readonly RedisKey _lease;
    private readonly RedisKey _meta;
    private string? _seen;
    private long _seenAt;

    /// <param name="link">Owned by the caller.</param>
    /// <param name="orders">Knows the highest token that this node has met.</param>
    public RedisSchedulerLease(RedisLink link, string cluster, NodeId self, OrderGate orders, TimeSpan duration, TimeSpan timeout, TimeProvider time)
    {
        _link = link;
        _orders = orders;
        _time = time;
        _timeout = timeout;
        Duration = duration;

        // A run of its own: the same node after a restart is another contender, with another token.
        _contender = $"{self}/{Guid.NewGuid():n}";
        var prefix = ClusterKeys.Prefix(cluster);
        (_lease, _meta) = (prefix + "scheduler", prefix + "meta");
    }

    public TimeSpan Duration { get; }

    public async ValueTask<LeaseHolding> HoldAsync(CancellationToken cancellationToken)
    {
        var isStale = _seen is not null && _time.GetElapsedTime(_seenAt) >= Duration;
        if (await AskAsync(
            Hold, [_lease, _meta], [_contender, isStale ? _seen : "", Text(_orders.Highest + 1), Text((long)Duration.TotalMilliseconds)], cancellationToken)
            .ConfigureAwait(false) is not { } result || (RedisResult[]?)result is not { Length: 3 } reply)
        {
            return LeaseHolding.None;
        }

        var isHeld = (int)reply[0] == 1;
        var token = long.Parse((string)reply[1]!, CultureInfo.InvariantCulture);
        var key = (string?)reply[2] ?? "";
        if (key != _seen)
        {
            (_seen, _seenAt) = (key, _time.GetTimestamp());
        }

        _orders.Observe(token);
        return new LeaseHolding(isHeld, token, NodeId.TryParse(key.Split('/')[0], out var holder, out _) ? holder : null);
    }

    public async ValueTask ReleaseAsync(CancellationToken cancellationToken) =>
        await AskAsync(Release, [_lease], [_contender], cancellationToken).ConfigureAwait(false);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>Null: the store did not answer in time.</summary>
    private async Task<RedisResult?> AskAsync(string script, RedisKey[] keys, RedisValue[] values, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(_timeout);
        try
        {
            return await _link.EvaluateAsync(script, keys, values, limit.Token).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is StoreSilentException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return null;
        }
    }
}
