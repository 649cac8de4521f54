using KvMesh.Gateway.Access;
using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp.Commands;

/// <summary>Commands over all keys of the caller's tenant.</summary>
internal static class IterationCommands
{
    private const int DefaultCount = 10;

    /// <summary>Most keys looked at by one SCAN, whatever COUNT says: a reply stays below 64 MiB and no client is kept waiting.</summary>
    private const int MaxCount = 65_536;

    /// <summary>Longest wait of FLUSHALL for memory: ten million blocks take about as many microseconds.</summary>
    private static readonly TimeSpan FlushPatience = TimeSpan.FromSeconds(20);

    public static IReadOnlyList<RespCommand> All { get; } =
    [
        new("scan", -2, Scan) { Rights = AccessRights.Read, Flags = ["readonly"] },
        new("keys", 2, Keys) { Rights = AccessRights.Read, Flags = ["readonly"] },
        new("randomkey", 1, RandomKey) { Rights = AccessRights.Read, Flags = ["readonly"] },
        new("dbsize", 1, Size) { Rights = AccessRights.Read, Flags = ["readonly", "fast"] },
        new("flushdb", -1, Flush) { Rights = AccessRights.Remove, Flags = ["write"] },
        new("flushall", -1, Flush) { Rights = AccessRights.Remove, Flags = ["write"] },
    ];

    private static void Scan(RespSession session, in RespRequest request)
    {
        if (!TryParseCursor(request[1], out var cursor))
        {
            session.Fail(RespErrors.BadCursor);
            return;
        }

        long count = DefaultCount;
        ReadOnlySpan<byte> pattern = "*"u8;
        var isString = true;
        for (var index = 2; index < request.Count; index += 2)
        {
            var hasNext = index + 1 < request.Count;
            if (hasNext && request.Is(index, "COUNT"u8))
            {
                if (!request.TryGetInteger(index + 1, out count))
                {
                    session.Fail(RespErrors.NotAnInteger);
                    return;
                }

                if (count < 1)
                {
                    session.Fail(RespErrors.Syntax);
                    return;
                }
            }
            else if (hasNext && request.Is(index, "MATCH"u8))
            {
                pattern = request[index + 1];
            }
            else if (hasNext && request.Is(index, "TYPE"u8))
            {
                isString = request.Is(index + 1, "string"u8);
            }
            else
            {
                session.Fail(RespErrors.Syntax);
                return;
            }
        }

        var keys = new List<ReadOnlyMemory<byte>>();
        var next = session.Services.Engine.Scan(
            session.Tenant, cursor, (int)Math.Min(count, MaxCount), (key, _) => keys.Add(key.ToArray()));
        var matches = Matching(keys, pattern, isString);
        session.Writer.WriteArray(2);
        session.Writer.WriteBulk(next.ToString());
        WriteKeys(session, matches);
    }

    /// <summary>Redis reads an unsigned number, and any sign before it; one that we never gave out is behind the last key.</summary>
    private static bool TryParseCursor(ReadOnlySpan<byte> text, out long cursor)
    {
        if (ulong.TryParse(text, out var unsigned))
        {
            cursor = unsigned > long.MaxValue ? long.MaxValue : (long)unsigned;
            return true;
        }

        var isNegative = RespInteger.TryParse(text, out _);
        cursor = long.MaxValue;
        return isNegative;
    }

    private static void Keys(RespSession session, in RespRequest request)
    {
        var limit = session.Services.Options.MaxListedKeys;
        var found = new List<ReadOnlyMemory<byte>>();
        var cursor = 0L;
        do
        {
            var page = new List<ReadOnlyMemory<byte>>();
            cursor = session.Services.Engine.Scan(session.Tenant, cursor, MaxCount, (key, _) => page.Add(key.ToArray()));
            found.AddRange(Matching(page, request[1], isString: true));
            if (found.Count > limit)
            {
                session.Fail($"ERR KEYS would list more than {limit} keys; use SCAN");
                return;
            }
        }
        while (cursor != 0);

        WriteKeys(session, found);
    }

    /// <summary>A random one of the first hundred keys: the order of the iteration is that of secret digests.</summary>
    private static void RandomKey(RespSession session, in RespRequest request)
    {
        ReadOnlyMemory<byte>? found = null;
        var seen = 0;
        var cursor = 0L;
        do
        {
            cursor = session.Services.Engine.Scan(session.Tenant, cursor, DefaultCount, (key, _) =>
            {
                // Each key seen so far is kept with the same chance.
                if (Random.Shared.Next(++seen) == 0)
                {
                    found = key.ToArray();
                }
            });
        }
        while (cursor != 0 && seen < DefaultCount * DefaultCount);

        if (found is { } chosen)
        {
            session.Writer.WriteBulk(chosen.Span);
        }
        else
        {
            session.Writer.WriteNull();
        }
    }

    private static void Size(RespSession session, in RespRequest request) => session.Writer.WriteInteger(TenantFigures.Of(session).Blocks);

    private static void Flush(RespSession session, in RespRequest request)
    {
        if (request.Count > 2 || (request.Count == 2 && !request.Is(1, "SYNC"u8) && !request.Is(1, "ASYNC"u8)))
        {
            session.Fail(RespErrors.Syntax);
            return;
        }

        session.Services.Engine.Purge(session.Tenant, null, null);
        if (request.Count == 1 || request.Is(1, "SYNC"u8))
        {
            // The keys are gone in any case; what may take longer is the memory.
            session.Services.Engine.AwaitPurge(FlushPatience);
        }

        session.Writer.WriteSimple("OK"u8);
    }

    private static List<ReadOnlyMemory<byte>> Matching(List<ReadOnlyMemory<byte>> keys, ReadOnlySpan<byte> pattern, bool isString)
    {
        var matches = new List<ReadOnlyMemory<byte>>(isString ? keys.Count : 0);
        for (var index = 0; isString && index < keys.Count; index++)
        {
            if (GlobPattern.Matches(pattern, keys[index].Span))
            {
                matches.Add(keys[index]);
            }
        }

        return matches;
    }

    private static void WriteKeys(RespSession session, List<ReadOnlyMemory<byte>> keys)
    {
        session.Writer.WriteArray(keys.Count);
        foreach (var key in keys)
        {
            session.Writer.WriteBulk(key.Span);
        }
    }
}
