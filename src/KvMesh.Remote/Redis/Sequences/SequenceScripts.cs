namespace KvMesh.Remote.Redis.Sequences;

/// <summary>What runs inside Redis. Each script touches keys of one hash tag only, so that it runs on a Redis Cluster too.</summary>
internal static class SequenceScripts
{
    /// <summary>
    /// One step. KEYS: head, rows. ARGV: the version that is expected, as it stands in the head, or nothing; the head; milliseconds to keep both;
    /// where the new rows begin, in bytes; the new rows; 1 when the rows are to go. Gives 1, or the head that is there instead.
    /// Only bytes 8 to 15 of the head are read, and rows are written at their place, so the cost does not depend on how long a sequence is.
    /// </summary>
    public const string Write =
        """
        if redis.call('GETRANGE', KEYS[1], 8, 15) ~= ARGV[1] then
          return redis.call('GET', KEYS[1])
        end
        redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
        if #ARGV[5] > 0 then
          redis.call('SETRANGE', KEYS[2], ARGV[4], ARGV[5])
        end
        if ARGV[6] == '1' then
          redis.call('UNLINK', KEYS[2])
        else
          redis.call('PEXPIRE', KEYS[2], ARGV[3])
        end
        return 1
        """;

    /// <summary>
    /// The row that holds a block, by halving. KEYS: rows. ARGV: how many there are, the block, bytes of a row. Gives index and row, or
    /// nothing. Position and length of a row stand in its bytes 8 to 15.
    /// </summary>
    public const string Find =
        """
        local low, high, block, size = 0, tonumber(ARGV[1]) - 1, tonumber(ARGV[2]), tonumber(ARGV[3])
        while low <= high do
          local middle = math.floor((low + high) / 2)
          local raw = redis.call('GETRANGE', KEYS[1], middle * size + 8, middle * size + 15)
          if #raw < 8 then
            return false
          end
          local start, count = struct.unpack('<I4I4', raw)
          if block < start then
            high = middle - 1
          elseif block >= start + count then
            low = middle + 1
          else
            return { middle, redis.call('GETRANGE', KEYS[1], middle * size, middle * size + size - 1) }
          end
        end
        return false
        """;

    /// <summary>
    /// The books of a tenant, the same as TenantAccounts in Cluster. KEYS: what each sequence takes, their names, their ends, what nodes hold, sums. ARGV: time of
    /// the caller; node; lease time; quota, need and wish of three figures each; most ended sequences; number of entries; entries of
    /// eight values. Gives three figures used, three given, and name and entry of each ended sequence.
    /// Leases run by the time of Redis.
    /// </summary>
    public const string Report =
        """
        local sums = redis.call('HMGET', KEYS[5], 'sequences', 'segments', 'pinned')
        local used = { tonumber(sums[1] or 0), tonumber(sums[2] or 0), tonumber(sums[3] or 0) }
        local function split(text)
          local parts = {}
          for part in string.gmatch(text .. '|', '([^|]*)|') do
            parts[#parts + 1] = part
          end
          return parts
        end
        local function text(number)
          return string.format('%.0f', number)
        end
        local function count(entry, sign)
          for i = 1, 3 do
            used[i] = used[i] + sign * tonumber(entry[i + 1])
          end
        end
        local function forget(name, entry)
          redis.call('HDEL', KEYS[1], name)
          redis.call('ZREM', KEYS[2], name)
          redis.call('ZREM', KEYS[3], name)
          count(entry, -1)
        end

        for index = 0, tonumber(ARGV[14]) - 1 do
          local at = 15 + index * 8
          local name = ARGV[at]
          local before = redis.call('HGET', KEYS[1], name)
          local entry = before and split(before)
          if not entry or tonumber(entry[1]) <= tonumber(ARGV[at + 1]) then
            if entry then
              forget(name, entry)
            end
            if ARGV[at + 2] ~= '0' or ARGV[at + 3] ~= '0' or ARGV[at + 4] ~= '0' then
              local fresh = {}
              for part = 1, 7 do
                fresh[part] = ARGV[at + part]
              end
              redis.call('HSET', KEYS[1], name, table.concat(fresh, '|'))
              redis.call('ZADD', KEYS[2], 0, name)
              redis.call('ZADD', KEYS[3], fresh[5], name)
              count(fresh, 1)
            end
          end
        end

        local ended = {}
        for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[1], 'LIMIT', 0, ARGV[13])) do
          local entry = redis.call('HGET', KEYS[1], name)
          if entry then
            forget(name, split(entry))
            ended[#ended + 1] = name
            ended[#ended + 1] = entry
          else
            redis.call('ZREM', KEYS[2], name)
            redis.call('ZREM', KEYS[3], name)
          end
        end

        local time = redis.call('TIME')
        local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
        redis.call('HDEL', KEYS[4], ARGV[2])
        local free = {}
        for i = 1, 3 do
          free[i] = tonumber(ARGV[3 + i]) - used[i]
        end
        local leases = redis.call('HGETALL', KEYS[4])
        for index = 1, #leases, 2 do
          local lease = split(leases[index + 1])
          if tonumber(lease[1]) <= now then
            redis.call('HDEL', KEYS[4], leases[index])
          else
            for i = 1, 3 do
              free[i] = free[i] - tonumber(lease[i + 1])
            end
          end
        end

        local given = {}
        local holds = false
        for i = 1, 3 do
          local rest = math.max(free[i], 0)
          local need = math.min(tonumber(ARGV[6 + i]), rest)
          given[i] = need + math.min(tonumber(ARGV[9 + i]), math.floor((rest - need) / 4))
          holds = holds or given[i] > 0
        end
        if holds then
          redis.call('HSET', KEYS[4], ARGV[2], text(now + tonumber(ARGV[3])) .. '|' .. text(given[1]) .. '|' .. text(given[2]) .. '|' .. text(given[3]))
        end
        redis.call('HMSET', KEYS[5], 'sequences', text(used[1]), 'segments', text(used[2]), 'pinned', text(used[3]))

        local reply = { text(used[1]), text(used[2]), text(used[3]), text(given[1]), text(given[2]), text(given[3]) }
        for _, part in ipairs(ended) do
          reply[#reply + 1] = part
        end
        return reply
        """;
}
