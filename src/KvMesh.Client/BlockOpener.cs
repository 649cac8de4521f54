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
/// Several are leased with one request, the next of them while these are read, so that round trips do not count beside reading.
/// </summary>
internal sealed class BlockOpener(ConnectionPool pool, BlockReader reader, TimeProvider time, bool verify)
{
    /// <summary>First guess for a block of unknown length.</summary>
    private int _likelyBytes = 64 * 1024;

    /// <summary>Bytes of the largest block of the run that was read last; 0: none was.</summary>
    private int _runBytes;

    public async ValueTask<LeasedBlock?> OpenAsync(KeySelection key, bool sharesMemory, CancellationToken cancellationToken)
    {
        if (!sharesMemory)
        {
            return await ReceiveAsync(key, cancellationToken).ConfigureAwait(false);
        }

        var lease = new LeaseOperation(key);
        var connection = await pool.RunAsync(lease, cancellationToken).ConfigureAwait(false);
        return await OpenAsync(connection, lease, lease.Grants[0], key, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Opens one block after the other; each is closed when the next is asked for.</summary>
    public async IAsyncEnumerable<LeasedBlock?> OpenManyAsync(KeySelection keys, bool sharesMemory, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var index = 0; !sharesMemory && index < keys.Count; index++)
        {
            using var received = await ReceiveAsync(keys.Slice(index, 1), cancellationToken).ConfigureAwait(false);
            yield return received;
        }

        if (!sharesMemory)
        {
            yield break;
        }

        await using var run = new LeaseRun(pool, keys, Volatile.Read(ref _runBytes), time);
        while (await run.NextAsync(cancellationToken).ConfigureAwait(false) is { } batch)
        {
            Volatile.Write(ref _runBytes, batch.LargestBytes);
            while (batch.TryTake(out var key, out var grant))
            {
                using var block = await OpenAsync(batch.Connection, batch.Lease, grant, key, cancellationToken).ConfigureAwait(false);
                yield return block;
            }
        }
    }

    /// <summary>Opens the block of one grant; where there was none to give, over the socket. Without a connection it is a miss.</summary>
    private ValueTask<LeasedBlock?> OpenAsync(NodeConnection? connection, LeaseOperation lease, LeaseGrant grant, KeySelection key, CancellationToken cancellationToken)
    {
        if (connection is null)
        {
            return default;
        }

        return lease.Outcome != OperationOutcome.Done || grant.Status == NativeStatus.LeaseRefused || connection.Arena is not { } arena
            ? ReceiveAsync(key, cancellationToken)
            : new ValueTask<LeasedBlock?>(grant.Status == NativeStatus.Ok ? OpenInPlace(connection, arena, grant, key) : null);
    }

    private LeasedBlock? OpenInPlace(NodeConnection connection, ArenaView arena, in LeaseGrant grant, KeySelection key)
    {
        if (!arena.Contains(grant) || !arena.TryHold())
        {
            connection.GiveBack([grant]);
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
