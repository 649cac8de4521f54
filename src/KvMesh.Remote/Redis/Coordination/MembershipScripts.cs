namespace KvMesh.Remote.Redis.Coordination;

/// <summary>
/// The steps of membership as scripts: each is atomic, and costs the logarithm of the number of nodes unless it returns more. They need
/// Redis 5 or later, which replicates what a script writes instead of the script. A member is kept as
/// <c>incarnation|owner|left|since|record</c>; ages count by the server's clock and are clamped when it was set back.
/// </summary>
internal static class MembershipScripts
{
    /// <summary>Keys: meta. Arguments: the identity the caller knows or nothing, a fresh secret. Returns the identity: <c>time:secret</c>, which sorts by age.</summary>
    public const string Agree = """
        local held = redis.call('HGET', KEYS[1], 'identity')
        if not held or (ARGV[1] ~= '' and ARGV[1] < held) then
          local time = redis.call('TIME')
          held = ARGV[1]
          if held == '' then
            held = string.format('%016.0f', time[1] * 1000 + math.floor(time[2] / 1000)) .. ':' .. ARGV[2]
          end
          redis.call('HSET', KEYS[1], 'identity', held)
        end
        return held
        """;

    /// <summary>
    /// Keys: members, beats, changes, meta. Arguments: id, lowest incarnation, owner, is return, may replace own, incarnation and beat of a
    /// silent holder or nothing, a fresh lineage, record, channel. Returns {incarnation} or {0, holder, its beat}.
    /// </summary>
    public const string Join = """
        local time = redis.call('TIME')
        local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
        local held = redis.call('HGET', KEYS[1], ARGV[1])
        if held then
          local incarnation, owner, left = string.match(held, '^(%d+)|([^|]*)|(%d)|')
          local beat = redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0'
          local own = ARGV[3] ~= '' and owner == ARGV[3]
          local yields = left == '1'
            or (own and ARGV[4] == '1' and incarnation == ARGV[2])
            or (own and ARGV[4] == '0' and ARGV[5] == '1')
            or (ARGV[6] == incarnation and ARGV[7] == beat)
          if not yields then
            return {0, held, beat}
          end
        end
        local last = tonumber(redis.call('HGET', KEYS[4], 'incarnation') or '0')
        local mine = tonumber(ARGV[2])
        if ARGV[4] == '0' and mine <= last then
          mine = last + 1
        end
        if mine > last then
          redis.call('HSET', KEYS[4], 'incarnation', string.format('%.0f', mine))
        end
        redis.call('HSETNX', KEYS[4], 'lineage', ARGV[8])
        local version = redis.call('HINCRBY', KEYS[4], 'version', 1)
        redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', mine) .. '|' .. ARGV[3] .. '|0|' .. now .. '|' .. ARGV[9])
        redis.call('ZADD', KEYS[2], now, ARGV[1])
        redis.call('ZADD', KEYS[3], version, ARGV[1])
        redis.call('PUBLISH', ARGV[10], ARGV[1])
        return {mine}
        """;

    /// <summary>
    /// Keys: members, beats, changes, meta. Arguments: id, incarnation, owner, changed record or nothing, age in milliseconds from which a
    /// member is silent, version and lineage that were seen, a fresh lineage, channel. Returns {outcome, holder, its beat, lineage, version,
    /// is complete, scheduler's token, {silent…}, {id, member, age, …}}.
    /// </summary>
    public const string Beat = """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local stamp = string.format('%.0f', now)
        redis.call('HSETNX', KEYS[4], 'lineage', ARGV[8])
        local lineage = redis.call('HGET', KEYS[4], 'lineage')
        local silentAfter = tonumber(ARGV[5])
        local changed = {}
        local held = redis.call('HGET', KEYS[1], ARGV[1])
        local outcome, beat = 3, '0'
        if held then
          beat = redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0'
          local incarnation, owner, left, since = string.match(held, '^(%d+)|([^|]*)|(%d)|(%d+)|')
          if incarnation == ARGV[2] and owner == ARGV[3] and left == '0' then
            outcome = 1
            redis.call('ZADD', KEYS[2], stamp, ARGV[1])
            if ARGV[4] ~= '' then
              redis.call('HSET', KEYS[1], ARGV[1], incarnation .. '|' .. owner .. '|0|' .. since .. '|' .. ARGV[4])
            end
            if ARGV[4] ~= '' or now - tonumber(beat) > silentAfter / 2 then
              changed[1] = ARGV[1]
            end
          else
            outcome = 2
          end
        end

        -- The clock was set back: what lies ahead begins to age now, or the dead would seem alive for as long.
        for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. string.format('%.0f', now + 1000), '+inf', 'LIMIT', 0, 1000)) do
          redis.call('ZADD', KEYS[2], stamp, id)
        end

        -- Silent for an hour: the record goes; for two: every trace of it. The hour between tells everybody who beats.
        for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], string.format('%.0f', now - 7200000), string.format('%.0f', now - 3600000), 'LIMIT', 0, 16)) do
          if redis.call('HDEL', KEYS[1], id) == 1 then
            changed[#changed + 1] = id
          end
        end
        for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. string.format('%.0f', now - 7200000), 'LIMIT', 0, 16)) do
          if redis.call('HDEL', KEYS[1], id) == 1 then
            changed[#changed + 1] = id
          else
            redis.call('ZREM', KEYS[2], id)
            redis.call('ZREM', KEYS[3], id)
          end
        end

        if #changed > 0 then
          local version = redis.call('HINCRBY', KEYS[4], 'version', 1)
          for _, id in ipairs(changed) do
            redis.call('ZADD', KEYS[3], version, id)
          end
          redis.call('PUBLISH', ARGV[9], ARGV[1])
        end

        local silent = redis.call('ZRANGEBYSCORE', KEYS[2], string.format('%.0f', now - 60000), '(' .. string.format('%.0f', now - silentAfter))
        local complete = (ARGV[7] == lineage) and 0 or 1
        local ids = complete == 1 and redis.call('HKEYS', KEYS[1]) or redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[6], '+inf')
        local members = {}
        for _, id in ipairs(ids) do
          local score = redis.call('ZSCORE', KEYS[2], id)
          members[#members + 1] = id
          members[#members + 1] = redis.call('HGET', KEYS[1], id) or ''
          members[#members + 1] = score and string.format('%.0f', now - tonumber(score)) or '3600000'
        end
        return {
          outcome, held or '', beat, lineage, redis.call('HGET', KEYS[4], 'version') or '0', complete,
          redis.call('HGET', KEYS[4], 'token') or '0', silent, members
        }
        """;

    /// <summary>Keys: members, changes, meta. Arguments: id, incarnation, channel.</summary>
    public const string Leave = """
        local held = redis.call('HGET', KEYS[1], ARGV[1])
        if not held then
          return 0
        end
        local incarnation, owner, left, rest = string.match(held, '^(%d+)|([^|]*)|(%d)|(.*)$')
        if incarnation ~= ARGV[2] or left ~= '0' then
          return 0
        end
        redis.call('HSET', KEYS[1], ARGV[1], incarnation .. '|' .. owner .. '|1|' .. rest)
        redis.call('ZADD', KEYS[2], redis.call('HINCRBY', KEYS[3], 'version', 1), ARGV[1])
        redis.call('PUBLISH', ARGV[3], ARGV[1])
        return 1
        """;
}
