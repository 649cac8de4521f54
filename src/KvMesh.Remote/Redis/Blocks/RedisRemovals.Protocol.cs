using System.Text;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>What is said to Redis. All of it on the thread of removals, with <see cref="Order"/> held.</summary>
internal sealed partial class RedisRemovals
{
    private bool TryPurge(Purge purge)
    {
        var isDone = TryAsk(connection =>
        {
            ScopeStamps.Ask(connection, purge.Tenant.ScopesKey);
            connection.Send();
            connection.Scopes.Read(connection);
            if (purge.Field == ScopeStamps.BaseField || connection.Scopes.Count >= ScopeStamps.MaxFields)
            {
                Unlink(connection, purge.Tenant.ScopesKey);
                connection.Send();
                connection.ReadNumber();
                return;
            }

            connection.Commands.Begin(4);
            connection.Commands.Add("HSET"u8);
            connection.Commands.Add(purge.Tenant.ScopesKey);
            connection.Commands.Add(Encoding.UTF8.GetBytes(purge.Field));
            connection.Commands.Add(ScopeStamps.NewValue());
            connection.Send();
            connection.ReadNumber();
        });
        if (isDone)
        {
            _purges.TryDequeue(out _);
            Ended(purge);
            Interlocked.Increment(ref _metrics.PurgesTold);
        }

        return isDone;
    }

    /// <summary>Too much was removed to name it: every tenant that this node knows starts anew.</summary>
    private bool TryVoidEverything()
    {
        var known = _known.Values.ToArray();
        var isDone = TryAsk(connection =>
        {
            foreach (var tenant in known)
            {
                Unlink(connection, tenant.ScopesKey);
                connection.Send();
                connection.ReadNumber();
            }
        });
        if (isDone)
        {
            LogOverrun(_options.Address, MaxPending);
            _queue.Clear();
            _pending.Clear();
            _isOverrun = false;
            Interlocked.Add(ref _metrics.PurgesTold, known.Length);
        }

        return isDone;
    }

    private bool TryRemoveBatch()
    {
        var batch = new List<BlockName>(MaxBatch);
        foreach (var name in _queue.Take(MaxBatch))
        {
            batch.Add(name);
        }

        var isDone = TryAsk(connection => RemoveBatch(connection, batch));
        if (isDone)
        {
            foreach (var name in batch)
            {
                _queue.TryDequeue(out _);
                _pending.TryRemove(name, out _);
            }

            Interlocked.Add(ref _metrics.Removed, batch.Count);
        }

        return isDone;
    }

    /// <summary>The heads tell which other parts there are; heads go first, so that nobody begins to read what is going.</summary>
    private void RemoveBatch(RedisConnection connection, List<BlockName> batch)
    {
        Span<byte> key = stackalloc byte[RedisKeys.MaxBytes];
        Span<byte> prefix = stackalloc byte[RecordHead.Bytes];
        foreach (var name in batch)
        {
            var headKey = key[.._keys.WriteHead(name, key)];
            RedisBlockWriter.AskHead(connection, headKey);
            Unlink(connection, headKey);
        }

        connection.Send();
        var parts = 0;
        foreach (var name in batch)
        {
            var bytes = connection.ReadValueHead(RecordHead.Bytes);
            connection.Replies.Receive(prefix[..bytes]);
            connection.Replies.EndBulk();
            connection.ReadNumber();
            if (bytes == RecordHead.Bytes && RecordHead.TryRead(prefix, out var head))
            {
                for (var part = 1; part < head.Parts; part++, parts++)
                {
                    Unlink(connection, key[.._keys.WritePart(name, part, head.Generation, key)]);
                }
            }
        }

        if (parts > 0)
        {
            connection.Send();
            for (; parts > 0; parts--)
            {
                connection.ReadNumber();
            }
        }
    }

    private static void Unlink(RedisConnection connection, ReadOnlySpan<byte> key)
    {
        connection.Commands.Begin(2);
        connection.Commands.Add("UNLINK"u8);
        connection.Commands.Add(key);
    }

    private bool TryAsk(Action<RedisConnection> ask)
    {
        if (!_link.TryBegin(_options.Deadline, out var connection))
        {
            return false;
        }

        IOException? failure = null;
        try
        {
            ask(connection);
        }
        catch (IOException exception)
        {
            failure = exception;
        }

        _link.End(connection, failure);
        return failure is null;
    }
}
