using System.Buffers;
using KvMesh.Client.Connections;
using KvMesh.Client.Operations;
using KvMesh.Client.SharedMemory;
using KvMesh.Protocol;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client;

/// <summary>Reads blocks: out of the node's arena where memory is shared and the block is worth the lease, else over the socket.</summary>
internal sealed class BlockReader(ConnectionPool pool, bool verify)
{
    /// <summary>Smaller blocks travel with the answer at less cost than a lease and its release.</summary>
    private const int MinLeasedBytes = 32 * 1024;

    /// <summary>Blocks leased at once, so that one reader does not spend the budget of all.</summary>
    private const int LeaseBatch = 32;

    /// <summary>First guess for a block of unknown length.</summary>
    private int _likelyBytes = 64 * 1024;

    public async ValueTask<GetResult> GetAsync(KeySelection key, Memory<byte> destination, bool sharesMemory, CancellationToken cancellationToken)
    {
        var results = new GetResult[1];
        if (!sharesMemory || destination.Length < MinLeasedBytes || !await TryGetLeasedAsync(key, destination, destination.Length, results, cancellationToken).ConfigureAwait(false))
        {
            await ReceiveAsync(GetOperation.Whole(key, destination, destination.Length, results, verify), key, results, cancellationToken).ConfigureAwait(false);
        }

        return results[0];
    }

    public async ValueTask<GetResult> GetRangeAsync(KeySelection key, long offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        var results = new GetResult[1];
        await ReceiveAsync(GetOperation.Range(key, offset, destination, results, verify), key, results, cancellationToken).ConfigureAwait(false);
        return results[0];
    }

    public async ValueTask<int> GetManyAsync(
        KeySelection keys, Memory<byte> destination, int blockBytes, Memory<GetResult> results, bool sharesMemory, CancellationToken cancellationToken)
    {
        var batch = sharesMemory && blockBytes >= MinLeasedBytes ? LeaseBatch : Limits.MaxBlocksPerRequest;
        for (var start = 0; start < keys.Count; start += batch)
        {
            var count = Math.Min(batch, keys.Count - start);
            var some = keys.Slice(start, count);
            var room = destination.Slice(start * blockBytes, count * blockBytes);
            var part = results.Slice(start, count);
            if (batch != LeaseBatch || !await TryGetLeasedAsync(some, room, blockBytes, part, cancellationToken).ConfigureAwait(false))
            {
                await ReceiveAsync(GetOperation.Whole(some, room, blockBytes, part, verify), some, part, cancellationToken).ConfigureAwait(false);
            }
        }

        return CountHits(results.Span[..keys.Count]);
    }

    public async ValueTask<LeasedBlock?> LeaseAsync(KeySelection key, bool sharesMemory, CancellationToken cancellationToken)
    {
        if (sharesMemory)
        {
            var lease = new LeaseOperation(key, []);
            var connection = await pool.RunAsync(lease, cancellationToken).ConfigureAwait(false);
            if (connection is null || (lease.Outcome == OperationOutcome.Done && lease.Grants[0].Status == NativeStatus.Miss))
            {
                return null;
            }

            if (lease.Outcome == OperationOutcome.Done && connection.Arena is { } arena && lease.Grants[0].Status == NativeStatus.Ok)
            {
                return Open(connection, arena, lease.Grants[0], key);
            }
        }

        return await ReceiveLeaseAsync(key, cancellationToken).ConfigureAwait(false);
    }

    private static int CountHits(ReadOnlySpan<GetResult> results)
    {
        var hits = 0;
        foreach (var result in results)
        {
            hits += result.IsHit ? 1 : 0;
        }

        return hits;
    }

    private static void Release(NodeConnection connection, ReadOnlySpan<LeaseGrant> grants)
    {
        var leases = new List<long>(grants.Length);
        foreach (var grant in grants)
        {
            if (grant.LeaseId != 0)
            {
                leases.Add(grant.LeaseId);
            }
        }

        if (leases.Count > 0)
        {
            connection.Post(new ReleaseOperation([.. leases]));
        }
    }

    /// <summary>Gets over the socket. What the node refuses or loses is Failed.</summary>
    private async ValueTask ReceiveAsync(GetOperation get, KeySelection keys, Memory<GetResult> results, CancellationToken cancellationToken)
    {
        results.Span.Fill(new GetResult(GetStatus.Failed, 0));
        var connection = await pool.RunAsync(get, cancellationToken).ConfigureAwait(false);
        if (connection is null || get.Outcome != OperationOutcome.Done)
        {
            results.Span.Fill(new GetResult(GetStatus.Failed, 0));
        }
        else if (get.HasMismatch)
        {
            connection.Post(new ReportOperation(keys));
        }
    }

    /// <summary>Gets blocks by leases. False when the node gave none for some of them: those must be read over the socket.</summary>
    private async ValueTask<bool> TryGetLeasedAsync(
        KeySelection keys, Memory<byte> destination, int blockBytes, Memory<GetResult> results, CancellationToken cancellationToken)
    {
        var lease = new LeaseOperation(keys, []);
        var connection = await pool.RunAsync(lease, cancellationToken).ConfigureAwait(false);
        if (connection is null)
        {
            results.Span.Fill(new GetResult(GetStatus.Failed, 0));
            return true;
        }

        if (lease.Outcome != OperationOutcome.Done || connection.Arena is not { } arena)
        {
            return false;
        }

        var isComplete = true;
        for (var index = 0; index < lease.Grants.Length; index++)
        {
            var grant = lease.Grants[index];
            isComplete &= grant.Status != NativeStatus.LeaseRefused;
            results.Span[index] = Take(arena, grant, destination.Span.Slice(index * blockBytes, blockBytes), out var hasMismatch);
            if (hasMismatch)
            {
                connection.Post(new ReportOperation(keys.Slice(index, 1)));
            }
        }

        Release(connection, lease.Grants);
        return isComplete;
    }

    private GetResult Take(ArenaView arena, in LeaseGrant grant, Span<byte> destination, out bool hasMismatch)
    {
        hasMismatch = false;
        if (grant.Status != NativeStatus.Ok || !arena.Contains(grant))
        {
            return new GetResult(GetStatus.Miss, 0);
        }

        if (grant.PayloadBytes > destination.Length)
        {
            return new GetResult(GetStatus.TooSmall, (int)grant.PayloadBytes);
        }

        if (!arena.TryHold())
        {
            return new GetResult(GetStatus.Failed, 0);
        }

        try
        {
            var isIntact = BlockCopy.TryCopy(arena, grant, destination, verify);
            var isCurrent = arena.IsCurrent(grant);
            hasMismatch = isCurrent && !isIntact;
            return isIntact && isCurrent ? new GetResult(GetStatus.Hit, (int)grant.PayloadBytes) : new GetResult(GetStatus.Miss, 0);
        }
        finally
        {
            arena.LetGo();
        }
    }

    private LeasedBlock? Open(NodeConnection connection, ArenaView arena, in LeaseGrant grant, KeySelection key)
    {
        if (!arena.Contains(grant) || !arena.TryHold())
        {
            connection.Post(new ReleaseOperation([grant.LeaseId]));
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

    private async ValueTask<LeasedBlock?> ReceiveLeaseAsync(KeySelection key, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < 2; attempt++)
        {
            var buffer = ArrayPool<byte>.Shared.Rent(Volatile.Read(ref _likelyBytes));
            try
            {
                var result = await GetAsync(key, buffer, sharesMemory: false, cancellationToken).ConfigureAwait(false);
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
