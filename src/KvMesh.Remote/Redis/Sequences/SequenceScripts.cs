namespace KvMesh.Remote.Redis.Sequences;

/// <summary>What runs inside Redis. Each script touches keys of one hash tag only, so that it runs on a Redis Cluster too.</summary>
internal static class SequenceScripts
{
    /// <summary>
    /// One step. KEYS: head, rows. ARGV: stamp and version that are expected, as they stand in the head, or nothing; the head; milliseconds to keep both;
    /// where the new rows begin, in bytes; the new rows; 1 when the rows are to go. Gives 1, or the head that is there instead.
    /// Only bytes 1 to 15 of the head are read, and rows are written at their place, so the cost does not depend on how long a sequence is.
    /// </summary>
    public const string Write =
        """
        local there = redis.call('GETRANGE', KEYS[1], 1, 15)
        if string.sub(there, 1, 3) .. string.sub(there, 8, 15) ~= ARGV[1] then
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
    /// The books of a tenant, the same as TenantAccounts in Cluster. KEYS: what each sequence takes, their names, their ends, what nodes hold, sums, until
    /// when nodes hold it. ARGV: time of
    /// the caller; node; lease time; quota, need and wish of three figures each; most ended sequences; number of entries; entries of
    /// eight values. Gives three figures used, three given, the time of Redis, and name and entry of each ended sequence.
    /// Leases run by the time of Redis, and so does the end of a sequence: it is told as a time from the caller's now. What all nodes hold is a sum that is kept, so
    /// that a report costs the same whatever their number; it is added up anew once a minute, and whenever the nodes and their times are not as many as each other.
    /// </summary>
    public const string Report =
        """
        local time = redis.call('TIME')
        local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
        local sums = redis.call('HMGET', KEYS[5], 'sequences', 'segments', 'pinned', 'held_sequences', 'held_segments', 'held_pinned', 'added_at')
        local used = { tonumber(sums[1] or 0), tonumber(sums[2] or 0), tonumber(sums[3] or 0) }
        local held = { tonumber(sums[4] or 0), tonumber(sums[5] or 0), tonumber(sums[6] or 0) }
        local addedAt = tonumber(sums[7] or 0)
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
              fresh[5] = text(now + tonumber(fresh[5]) - tonumber(ARGV[1]))
              redis.call('HSET', KEYS[1], name, table.concat(fresh, '|'))
              redis.call('ZADD', KEYS[2], 0, name)
              redis.call('ZADD', KEYS[3], fresh[5], name)
              count(fresh, 1)
            end
          end
        end

        local ended = {}
        for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', text(now), 'LIMIT', 0, ARGV[13])) do
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

        local function hold(lease, sign)
          for i = 1, 3 do
            held[i] = held[i] + sign * tonumber(lease[i + 1])
          end
        end
        local function drop(node)
          local lease = redis.call('HGET', KEYS[4], node)
          if lease then
            hold(split(lease), -1)
            redis.call('HDEL', KEYS[4], node)
          end
          redis.call('ZREM', KEYS[6], node)
        end

        if addedAt > now or now - addedAt > 60000 or redis.call('HLEN', KEYS[4]) ~= redis.call('ZCARD', KEYS[6]) then
          held, addedAt = { 0, 0, 0 }, now
          redis.call('DEL', KEYS[6])
          local leases = redis.call('HGETALL', KEYS[4])
          for index = 1, #leases, 2 do
            local lease = split(leases[index + 1])
            hold(lease, 1)
            redis.call('ZADD', KEYS[6], lease[1], leases[index])
          end
        end
        drop(ARGV[2])
        for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', text(now), 'LIMIT', 0, 100)) do
          drop(node)
        end
        local free = {}
        for i = 1, 3 do
          free[i] = tonumber(ARGV[3 + i]) - used[i] - held[i]
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
          local ends = text(now + tonumber(ARGV[3]))
          redis.call('HSET', KEYS[4], ARGV[2], ends .. '|' .. text(given[1]) .. '|' .. text(given[2]) .. '|' .. text(given[3]))
          redis.call('ZADD', KEYS[6], ends, ARGV[2])
          hold({ ends, given[1], given[2], given[3] }, 1)
        end
        redis.call(
          'HMSET', KEYS[5], 'sequences', text(used[1]), 'segments', text(used[2]), 'pinned', text(used[3]),
          'held_sequences', text(held[1]), 'held_segments', text(held[2]), 'held_pinned', text(held[3]), 'added_at', text(addedAt))

        local reply = { text(used[1]), text(used[2]), text(used[3]), text(given[1]), text(given[2]), text(given[3]), text(now) }
        for _, part in ipairs(ended) do
          reply[#reply + 1] = part
        end
        return reply
        """;
}
