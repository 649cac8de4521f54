using KvMesh.Engine.Blocks;
using KvMesh.Protocol;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>
/// Asks Redis whether blocks are there. A match asks for the next 32 keys at once, in one round trip: a prompt that nobody else has
/// seen costs one, a long shared prefix one for each 32 blocks, where asking one by one would cost one for each block and galloping may
/// be wrong, since Redis evicts in any order. Nothing is remembered: another node may write at any moment, and an answer costs less than a
/// block that is computed again.
/// </summary>
internal sealed class RedisPresence(
    RedisServerLink link, RedisKeys keys, RedisRemovals removals, RedisTierOptions options, RedisTierMetrics metrics)
{
    /// <summary>Keys of one round trip.</summary>
    public const int KeysPerRound = 32;

    /// <summary>How many keys from <paramref name="from"/> on are there without a gap, at most <see cref="KeysPerRound"/>.</summary>
    public int CountPrefix(TenantKeys tenant, KeyRun run, int from)
    {
        Span<byte> key = stackalloc byte[Limits.MaxKeyBytes];
        key = key[..run.KeyBytes];
        Span<BlockName> names = stackalloc BlockName[KeysPerRound];
        var count = 0;
        for (var index = from; index < run.Count && count < KeysPerRound; index++)
        {
            run.CopyKey(index, key);
            var name = BlockName.Of(tenant.Utf8, key);
            if (removals.IsHidden(name))
            {
                break;
            }

            names[count++] = name;
        }

        return count == 0 ? 0 : CountLeading(names[..count]);
    }

    public bool IsThere(BlockName name) => !removals.IsHidden(name) && CountLeading([name]) == 1;

    private int CountLeading(ReadOnlySpan<BlockName> names)
    {
        if (!link.TryBegin(options.MatchDeadline, out var connection))
        {
            return 0;
        }

        IOException? failure = null;
        try
        {
            return CountLeading(connection, names);
        }
        catch (IOException exception)
        {
            failure = exception;
            return 0;
        }
        finally
        {
            link.End(connection, failure);
        }
    }

    private int CountLeading(RedisConnection connection, ReadOnlySpan<BlockName> names)
    {
        Span<byte> key = stackalloc byte[RedisKeys.MaxBytes];
        foreach (var name in names)
        {
            connection.Commands.Begin(2);
            connection.Commands.Add("EXISTS"u8);
            connection.Commands.Add(key[..keys.WriteHead(name, key)]);
        }

        connection.Send();
        Interlocked.Increment(ref metrics.Rounds);
        Interlocked.Add(ref metrics.Asked, names.Length);
        var leading = 0;
        for (var index = 0; index < names.Length; index++)
        {
            var isThere = connection.ReadNumber() == 1;
            leading += isThere && leading == index ? 1 : 0;
        }

        return leading;
    }
}
