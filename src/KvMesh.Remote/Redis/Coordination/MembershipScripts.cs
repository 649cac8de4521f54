namespace KvMesh.Remote.Redis.Coordination;

/// <summary>
/// The steps of membership as scripts: each is atomic, and costs the logarithm of the number of nodes unless it returns more. They need
/// Redis 5 or later, which replicates what a script writes instead of the script. A member is kept in the hash <c>members</c> as
/// <c>incarnation|owner|left|since|record</c>, <c>changes</c> has the number of its last change, and <c>beats</c> the time of its last beat; ages count by the
/// server's clock and are clamped when it was set back. A <c>since</c> that begins with 0 says that the member asks after those it doubts; members of
/// the release before do not, and while there is one, a late beat is a change, of which nobody is woken.
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
    /// Keys of all that begin so: members, beats, changes, meta. Changes are numbered by the server's clock in milliseconds, so that the numbers
    /// go on growing when the server comes back with data of a moment ago. Of a herd of changes only some are announced, in a large
    /// cluster twice a second: what a hint would tell comes with the next beat as well.
    /// </summary>
    private const string Begin = """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local stamp = string.format('%.0f', now)

        local function number()
          local last = tonumber(redis.call('HGET', KEYS[4], 'version') or '0')
          local version = string.format('%.0f', math.max(last + 1, now))
          redis.call('HSET', KEYS[4], 'version', version)
          return version
        end

        local function announce(channel, id)
          local told = tonumber(redis.call('HGET', KEYS[4], 'told') or '0')
          local pause = math.min(500, math.max(0, redis.call('HLEN', KEYS[1]) - 16) / 2)
          if told > now or now - told >= pause then
            redis.call('HSET', KEYS[4], 'told', stamp)
            redis.call('PUBLISH', channel, id)
          end
        end

        local function hasOthers()
          local at, others = string.match(redis.call('HGET', KEYS[4], 'others') or '', '^(%d+)|(%d)$')
          if at and tonumber(at) <= now and tonumber(at) > now - 5000 then
            return others == '1'
          end
          others = '0'
          for _, member in ipairs(redis.call('HVALS', KEYS[1])) do
            if string.find(member, '^%d+|[^|]*|0|[1-9]') then
              others = '1'
            end
          end
          redis.call('HSET', KEYS[4], 'others', stamp .. '|' .. others)
          return others == '1'
        end

        """;

    /// <summary>
    /// Keys: members, beats, changes, meta. Arguments: id, lowest incarnation, owner, is return, may replace own, incarnation and beat of a
    /// silent holder or nothing, a fresh lineage, record, channel. Returns {incarnation} or {0, holder, its beat}.
    /// </summary>
    public const string Join = Begin + """
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
        redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', mine) .. '|' .. ARGV[3] .. '|0|0' .. stamp .. '|' .. ARGV[9])
        redis.call('ZADD', KEYS[2], stamp, ARGV[1])
        redis.call('ZADD', KEYS[3], number(), ARGV[1])
        announce(ARGV[10], ARGV[1])
        return {mine}
        """;

    /// <summary>
    /// Keys: members, beats, changes, meta, progress in the log of removals, snapshot. Arguments: id, incarnation, owner, record or nothing, age in
    /// milliseconds from which a member is silent, version and lineage that were seen, a fresh lineage, channel, time that was seen, doubted members…
    /// Returns {outcome, holder, its beat, lineage, version, is complete, scheduler's token, {silent, its beat, …}, {id, member, …}, {heard…}, where the log of
    /// removals stands, time up to which the silent are named, is behind, snapshot}. Who has seen nothing, or much less than there is, gets all members as one
    /// text, which is kept for the next one who asks, and what changed since it was made: so Redis does not take a thousand records into its hands for each
    /// of a thousand members that join at once. The text is <c>length:bytes</c> of each id and each member, one after the other. Who is not known reads nothing: it
    /// has to join first, and the others wait for that.
    /// </summary>
    public const string Beat = Begin + """
        local meta = redis.call('HMGET', KEYS[4], 'lineage', 'version', 'token', 'log_lineage', 'log_edition', 'removed')
        local lineage, version, silentAfter = meta[1], meta[2] or '0', tonumber(ARGV[5])
        if not lineage then
          lineage = ARGV[8]
          redis.call('HSET', KEYS[4], 'lineage', lineage)
        end

        local outcome, beat, changed, isNews = 3, '0', {}, false
        local held = redis.call('HGET', KEYS[1], ARGV[1])
        if held then
          beat = redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0'
          local incarnation, owner, left, since = string.match(held, '^(%d+)|([^|]*)|(%d)|(%d+)|')
          if incarnation == ARGV[2] and owner == ARGV[3] and left == '0' then
            outcome = 1
            redis.call('ZADD', KEYS[2], stamp, ARGV[1])
            local value = incarnation .. '|' .. owner .. '|0|' .. since .. '|' .. ARGV[4]
            if ARGV[4] ~= '' and value ~= held then
              redis.call('HSET', KEYS[1], ARGV[1], value)
              changed[1] = ARGV[1]
              isNews = true
            elseif now - tonumber(beat) > silentAfter / 2 and hasOthers() then
              changed[1] = ARGV[1]
            end
          else
            outcome = 2
          end
        end

        local logged = (meta[4] or '') .. '/' .. (meta[5] or '') .. '/' .. (meta[6] or '')
        if outcome == 3 then
          return { 3, '', '0', lineage, version, 0, meta[3] or '0', {}, {}, {}, logged, stamp, 0, '' }
        end

        -- The clock was set back: what lies ahead begins to age now, or the dead would seem alive for as long.
        for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. string.format('%.0f', now + 1000), '+inf', 'LIMIT', 0, 1000)) do
          redis.call('ZADD', KEYS[2], stamp, id)
        end

        -- Silent for an hour: the record goes; for two: every trace of it. The hour between tells everybody who beats.
        local hour, hours = string.format('%.0f', now - 3600000), string.format('%.0f', now - 7200000)
        if #redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', hour, 'LIMIT', 0, 1) > 0 then
          for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], hours, hour, 'LIMIT', 0, 16)) do
            if redis.call('HDEL', KEYS[1], id) == 1 then
              changed[#changed + 1] = id
              isNews = true
            end
          end
          for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. hours, 'LIMIT', 0, 16)) do
            if redis.call('HDEL', KEYS[1], id) == 1 then
              changed[#changed + 1] = id
              isNews = true
            else
              redis.call('ZREM', KEYS[2], id)
              redis.call('ZREM', KEYS[3], id)
              redis.call('HDEL', KEYS[5], id)
            end
          end
        end

        if #changed > 0 then
          version = number()
          for _, id in ipairs(changed) do
            redis.call('ZADD', KEYS[3], version, id)
          end
        end
        if isNews then
          announce(ARGV[9], ARGV[1])
        end

        -- Who was silent by the time that the caller has seen was named then. Of very many those that are silent for longest, the others with the next beat.
        local members, named, snapshot = {}, stamp, ''
        local isComplete, told = ARGV[7] ~= lineage, nil
        if not isComplete then
          told = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[6], '+inf')
          isComplete = #told > 256 and #told > redis.call('HLEN', KEYS[1]) / 2
        end
        if isComplete then
          local made = redis.call('HMGET', KEYS[6], 'lineage', 'version')
          if made[1] == lineage and tonumber(made[2]) <= tonumber(version) and redis.call('ZCOUNT', KEYS[3], '(' .. made[2], '+inf') <= 64 then
            snapshot = redis.call('HGET', KEYS[6], 'text')
            told = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. made[2], '+inf')
          else
            local parts = {}
            for index, part in ipairs(redis.call('HGETALL', KEYS[1])) do
              parts[index] = #part .. ':' .. part
            end
            snapshot = table.concat(parts)
            told = {}
            if #parts > 128 then
              redis.call('HSET', KEYS[6], 'lineage', lineage, 'version', version, 'text', snapshot)
            end
          end
        end
        for first = 1, #told, 1000 do
          local last = math.min(first + 999, #told)
          for index, member in ipairs(redis.call('HMGET', KEYS[1], unpack(told, first, last))) do
            members[#members + 1] = told[first + index - 1]
            members[#members + 1] = member or ''
          end
        end

        local silent
        if isComplete then
          silent = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. string.format('%.0f', now - silentAfter), 'WITHSCORES')
        else
          local from = math.min(tonumber(ARGV[10]), now) - silentAfter
          silent = redis.call(
            'ZRANGEBYSCORE', KEYS[2], string.format('%.0f', from), '(' .. string.format('%.0f', now - silentAfter), 'WITHSCORES', 'LIMIT', 0, 256)
          if #silent == 512 then
            named = string.format('%.0f', math.max(from + 1, tonumber(silent[512])) + silentAfter)
          end
        end

        local heard = {}
        for index = 11, #ARGV do
          local score = redis.call('ZSCORE', KEYS[2], ARGV[index])
          if score and tonumber(score) >= now - silentAfter then
            heard[#heard + 1] = ARGV[index]
          end
        end

        -- Others are heard, or it is the store that is late.
        local isBehind = 0
        if #silent > 0 or #ARGV > 10 then
          local recent = redis.call('ZCOUNT', KEYS[2], string.format('%.0f', now - 2 * silentAfter), '+inf')
          local fresh = redis.call('ZCOUNT', KEYS[2], string.format('%.0f', now - silentAfter / 2), '+inf')
          isBehind = recent - fresh > math.max(1, recent / 3) and 1 or 0
        end
        return {
          outcome, outcome == 2 and held or '', beat, lineage, version, isComplete and 1 or 0, meta[3] or '0', silent, members, heard, logged, named, isBehind,
          snapshot
        }
        """;

    /// <summary>
    /// Keys: members, beats, changes, meta. Arguments: id, incarnation, owner, age in milliseconds from which a member is silent. Returns the outcome. Four
    /// commands, whatever the others do.
    /// </summary>
    public const string Renew = Begin + """
        local held = redis.call('HGET', KEYS[1], ARGV[1])
        if not held then
          return 3
        end
        local incarnation, owner, left = string.match(held, '^(%d+)|([^|]*)|(%d)|')
        if incarnation ~= ARGV[2] or owner ~= ARGV[3] or left ~= '0' then
          return 2
        end
        local beat = redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0'
        redis.call('ZADD', KEYS[2], stamp, ARGV[1])
        if now - tonumber(beat) > tonumber(ARGV[4]) / 2 and hasOthers() then
          redis.call('ZADD', KEYS[3], number(), ARGV[1])
        end
        return 1
        """;

    /// <summary>Keys: members, beats, changes, meta. Arguments: id, incarnation, channel.</summary>
    public const string Leave = Begin + """
        local held = redis.call('HGET', KEYS[1], ARGV[1])
        if not held then
          return 0
        end
        local incarnation, owner, left, rest = string.match(held, '^(%d+)|([^|]*)|(%d)|(.*)$')
        if incarnation ~= ARGV[2] or left ~= '0' then
          return 0
        end
        redis.call('HSET', KEYS[1], ARGV[1], incarnation .. '|' .. owner .. '|1|' .. rest)
        redis.call('ZADD', KEYS[3], number(), ARGV[1])
        announce(ARGV[3], ARGV[1])
        return 1
        """;
}
