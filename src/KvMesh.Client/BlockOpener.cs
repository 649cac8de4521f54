using System.Buffers;
using System.Runtime.CompilerServices;
using KvMesh.Client.Connections;
using KvMesh.Client.Operations;
using KvMesh.Client.SharedMemory;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client;

/// <summary>
/// Opens blocks where they are: in the node's arena under a lease where memory is shared, else in a buffer that is filled over the socket.
/// Several are leased with one request, so that the round trip does not count beside reading them.
/// </summary>
internal sealed class BlockOpener(ConnectionPool pool, BlockReader reader, TimeProvider time, bool verify)
{
    /// <summary>Bytes leased ahead of the block in hand: enough to hide a round trip, and little of anybody's lease budget.</summary>
    private const int AheadBytes = 64 * 1024 * 1024;

    /// <summary>Blocks leased at once at most.</summary>
    private const int MaxAhead = 64;

    /// <summary>Blocks leased at once before their size is known.</summary>
    private const int FirstAhead = 8;

    /// <summary>First guess for a block of unknown length.</summary>
    private int _likelyBytes = 64 * 1024;

    public async ValueTask<LeasedBlock?> OpenAsync(KeySelection key, bool sharesMemory, CancellationToken cancellationToken)
    {
        if (!sharesMemory)
        {
            return await ReceiveAsync(key, cancellationToken).ConfigureAwait(false);
        }

        var lease = new LeaseOperation(key, []);
        var connection = await pool.RunAsync(lease, cancellationToken).ConfigureAwait(false);
        return connection is null ? null : await OpenAsync(connection, lease, 0, key, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Opens one block after the other; each is closed when the next is asked for.</summary>
    public async IAsyncEnumerable<LeasedBlock?> OpenManyAsync(KeySelection keys, bool sharesMemory, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var ahead = FirstAhead;
        for (var index = 0; index < keys.Count;)
        {
            if (!sharesMemory)
            {
                using var received = await ReceiveAsync(keys.Slice(index++, 1), cancellationToken).ConfigureAwait(false);
                yield return received;
                continue;
            }

            var some = keys.Slice(index, Math.Min(ahead, keys.Count - index));
            var lease = new LeaseOperation(some, []);
            var connection = await pool.RunAsync(lease, cancellationToken).ConfigureAwait(false);
            var askedAt = time.GetTimestamp();
            var (opened, blockBytes) = (0, 0);
            try
            {
                while (opened < some.Count && !IsOver(lease, opened, askedAt))
                {
                    using var block = connection is null
                        ? null
                        : await OpenAsync(connection, lease, opened, some.Slice(opened, 1), cancellationToken).ConfigureAwait(false);
                    opened++;
                    blockBytes = block?.Length ?? blockBytes;
                    yield return block;
                }
            }
            finally
            {
                connection?.Release(lease.Grants.AsSpan(opened));
            }

            index += opened;
            ahead = opened < some.Count ? opened : blockBytes > 0 ? Math.Clamp(AheadBytes / blockBytes, 1, MaxAhead) : ahead;
        }
    }

    /// <summary>Whether the rest of a batch is better leased anew: the budget had no more room then, or the leases end soon.</summary>
    private bool IsOver(LeaseOperation lease, int index, long askedAt) =>
        index > 0
        && lease.Outcome == OperationOutcome.Done
        && (lease.Grants[index].Status == NativeStatus.LeaseRefused || time.GetElapsedTime(askedAt) > lease.Duration / 2);

    /// <summary>Opens the block of one grant; where there was none to give, over the socket.</summary>
    private ValueTask<LeasedBlock?> OpenAsync(NodeConnection connection, LeaseOperation lease, int index, KeySelection key, CancellationToken cancellationToken)
    {
        var grant = lease.Grants[index];
        return lease.Outcome != OperationOutcome.Done || grant.Status == NativeStatus.LeaseRefused || connection.Arena is not { } arena
            ? ReceiveAsync(key, cancellationToken)
            : new ValueTask<LeasedBlock?>(grant.Status == NativeStatus.Ok ? OpenInPlace(connection, arena, grant, key) : null);
    }

    private LeasedBlock? OpenInPlace(NodeConnection connection, ArenaView arena, in LeaseGrant grant, KeySelection key)
    {
        if (!arena.Contains(grant) || !arena.TryHold())
        {
            connection.Release([grant]);
            return null;
        }

        var block = new LeasedBlock(connection, arena, grant);
        if (!verify || BlockCopy.IsIntact(arena, grant))
        {
            return block;
        }

        if (block.Release())
        {
            connection.Post(new ReportOperation(key));
        }

        return null;
    }

    private async ValueTask<LeasedBlock?> ReceiveAsync(KeySelection key, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < 2; attempt++)
        {
            var buffer = ArrayPool<byte>.Shared.Rent(Volatile.Read(ref _likelyBytes));
            try
            {
                var result = await reader.GetAsync(key, buffer, sharesMemory: false, cancellationToken).ConfigureAwait(false);
                if (result.IsHit)
                {
                    var block = new LeasedBlock(buffer, result.Bytes);
                    buffer = null;
                    return block;
                }

                if (result.Status != GetStatus.TooSmall)
                {
                    return null;
                }

                Volatile.Write(ref _likelyBytes, result.Bytes);
            }
            finally
            {
                if (buffer is not null)
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                }
            }
        }

        return null;
    }
}
