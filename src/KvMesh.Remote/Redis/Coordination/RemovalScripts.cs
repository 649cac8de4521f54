namespace KvMesh.Remote.Redis.Coordination;

/// <summary>
/// The steps of the log of removals as scripts. The hash <c>meta</c> holds log_lineage, log_edition, removed (the last number), purged (that of the last
/// purge), floor, lost and purge_floor; <c>purges</c> is a hash of scope to <c>number|origin</c>; <c>removals</c> is a stream whose ids are the
/// numbers; <c>progress</c> is a hash of node to number. Redis 5 or later.
/// </summary>
internal static class RemovalScripts
{
    private const string Next = """
        redis.call('HSETNX', KEYS[1], 'log_lineage', ARGV[3])
        local time = redis.call('TIME')
        local last = tonumber(redis.call('HGET', KEYS[1], 'removed') or '0')
        local first = math.max(last + 1, tonumber(ARGV[2]) + 1, time[1] * 1000 + math.floor(time[2] / 1000))
        """;

    /// <summary>Keys: meta, purges. Arguments: origin, number to be above, a fresh lineage, channel, most scopes, scope. Returns the number.</summary>
    public const string Purge = Next + """

        local number = string.format('%.0f', first)
        redis.call('HSET', KEYS[2], ARGV[6], number .. '|' .. ARGV[1])
        redis.call('HSET', KEYS[1], 'removed', number, 'purged', number)
        """ + TrimPurges + """

        redis.call('PUBLISH', ARGV[4], number)
        return number
        """;

    /// <summary>Keys: meta, removals. Arguments: origin, number to be above, a fresh lineage, channel, most keys, tenant, key, tenant, key, … Returns the first number.</summary>
    public const string Remove = Next + """

        local number = first
        for index = 6, #ARGV, 2 do
          redis.call('XADD', KEYS[2], string.format('%.0f', number) .. '-0', 't', ARGV[index], 'k', ARGV[index + 1], 'o', ARGV[1])
          number = number + 1
        end
        redis.call('HSET', KEYS[1], 'removed', string.format('%.0f', number - 1))
        local excess = redis.call('XLEN', KEYS[2]) - tonumber(ARGV[5])
        if excess >= 1024 then
          local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', excess)
          redis.call('HSET', KEYS[1], 'floor', string.match(oldest[#oldest][1], '^(%d+)'))
          redis.call('XTRIM', KEYS[2], 'MAXLEN', ARGV[5])
        end
        redis.call('PUBLISH', ARGV[4], string.format('%.0f', number - 1))
        return string.format('%.0f', first)
        """;

    /// <summary>
    /// Keys: meta, purges, removals, progress. Arguments: reader, mark, lineage and edition that it knows, most keys, a fresh lineage. Returns {lineage,
    /// edition, last, floor, lost, purge floor, {scope, number|origin, …}, {number, tenant, key, origin, …}}.
    /// </summary>
    public const string Read = """
        redis.call('HSETNX', KEYS[1], 'log_lineage', ARGV[6])
        local meta = redis.call('HMGET', KEYS[1], 'log_lineage', 'log_edition', 'removed', 'floor', 'lost', 'purge_floor', 'purged')
        local edition, last = meta[2] or '', tonumber(meta[3] or '0')
        local same = meta[1] == ARGV[3]
        local mark = same and tonumber(ARGV[2]) or 0
        if same then
          redis.call('HSET', KEYS[4], ARGV[1], ARGV[2])
        end
        local purges = {}
        if not same or edition ~= ARGV[4] then
          purges = redis.call('HGETALL', KEYS[2])
        elseif tonumber(meta[7] or '0') > mark then
          local all = redis.call('HGETALL', KEYS[2])
          for index = 1, #all, 2 do
            if tonumber(string.match(all[index + 1], '^%d+')) > mark then
              purges[#purges + 1] = all[index]
              purges[#purges + 1] = all[index + 1]
            end
          end
        end
        local removals = {}
        if ARGV[3] ~= '' and last > mark then
          for _, entry in ipairs(redis.call('XRANGE', KEYS[3], string.format('%.0f', mark + 1), '+', 'COUNT', ARGV[5])) do
            removals[#removals + 1] = string.match(entry[1], '^%d+')
            removals[#removals + 1] = entry[2][2]
            removals[#removals + 1] = entry[2][4]
            removals[#removals + 1] = entry[2][6]
          end
        end
        return {meta[1], edition, meta[3] or '0', meta[4] or '0', meta[5] or '0', meta[6] or '0', purges, removals}
        """;

    /// <summary>
    /// Keys: meta, purges. Arguments: lineage, how far the caller had come in the life before, a fresh edition, channel, most scopes, scope, number|origin, scope, …
    /// </summary>
    public const string Restore = """
        if redis.call('HGET', KEYS[1], 'log_lineage') ~= ARGV[1] then
          return 0
        end
        local last = tonumber(redis.call('HGET', KEYS[1], 'removed') or '0')
        local purged = tonumber(redis.call('HGET', KEYS[1], 'purged') or '0')
        local changed = false
        for index = 6, #ARGV, 2 do
          local given = tonumber(string.match(ARGV[index + 1], '^%d+'))
          local held = redis.call('HGET', KEYS[2], ARGV[index])
          if not held or tonumber(string.match(held, '^%d+')) < given then
            redis.call('HSET', KEYS[2], ARGV[index], ARGV[index + 1])
            purged = math.max(purged, given)
            changed = true
          end
        end
        local reached = tonumber(ARGV[2])
        if reached > tonumber(redis.call('HGET', KEYS[1], 'lost') or '0') then
          redis.call('HSET', KEYS[1], 'lost', string.format('%.0f', reached))
          changed = true
        end
        if changed then
          redis.call('HSET', KEYS[1], 'removed', string.format('%.0f', math.max(last, purged, reached)), 'purged', string.format('%.0f', purged), 'log_edition', ARGV[3])
        """ + TrimPurges + """

          redis.call('PUBLISH', ARGV[4], ARGV[3])
        end
        return 1
        """;

    /// <summary>Keys: progress. Arguments: nodes. Returns how far each has come.</summary>
    public const string Progress = "return redis.call('HMGET', KEYS[1], unpack(ARGV))";

    /// <summary>Beyond the most scopes a sixteenth of them goes, the oldest first.</summary>
    private const string TrimPurges = """

        if redis.call('HLEN', KEYS[2]) > tonumber(ARGV[5]) then
          local all, byNumber = redis.call('HGETALL', KEYS[2]), {}
          for index = 1, #all, 2 do
            byNumber[#byNumber + 1] = {tonumber(string.match(all[index + 1], '^%d+')), all[index]}
          end
          table.sort(byNumber, function(left, right) return left[1] < right[1] end)
          local floor = 0
          for index = 1, math.max(1, math.floor(tonumber(ARGV[5]) / 16)) do
            floor = byNumber[index][1]
            redis.call('HDEL', KEYS[2], byNumber[index][2])
          end
          redis.call('HSET', KEYS[1], 'purge_floor', string.format('%.0f', floor))
        end
        """;
}
