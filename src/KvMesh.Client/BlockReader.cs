using KvMesh.Client.Connections;
using KvMesh.Client.Operations;
using KvMesh.Client.SharedMemory;
using KvMesh.Protocol;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client;

/// <summary>Copies blocks to the caller's memory: out of the node's arena where memory is shared and the block is worth the lease, else over the socket.</summary>
internal sealed class BlockReader(ConnectionPool pool, bool verify)
{
    /// <summary>Smaller blocks travel with the answer at less cost than a lease and its release.</summary>
    private const int MinLeasedBytes = 32 * 1024;

    /// <summary>Blocks leased at once, so that one reader does not spend the budget of all.</summary>
    private const int LeaseBatch = 32;

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

    private static int CountHits(ReadOnlySpan<GetResult> results)
    {
        var hits = 0;
        foreach (var result in results)
        {
            hits += result.IsHit ? 1 : 0;
        }

        return hits;
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

        connection.Release(lease.Grants);
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
}
