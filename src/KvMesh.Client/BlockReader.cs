using KvMesh.Client.Connections;
using KvMesh.Client.Operations;
using KvMesh.Client.SharedMemory;
using KvMesh.Protocol;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client;

/// <summary>Copies blocks to the caller's memory: out of the node's arena where memory is shared and the block is worth the lease, else over the socket.</summary>
/// <param name="encoded">Takes blocks that come encoded; null: none may.</param>
internal sealed class BlockReader(ConnectionPool pool, TimeProvider time, bool verify, EncodedReads? encoded)
{
    /// <summary>Smaller blocks travel with the answer at less cost than a lease and its release.</summary>
    private const int MinLeasedBytes = 32 * 1024;

    public async ValueTask<GetResult> GetAsync(KeySelection key, Memory<byte> destination, bool sharesMemory, CancellationToken cancellationToken)
    {
        var results = new GetResult[1];
        if (!sharesMemory || destination.Length < MinLeasedBytes || !await TryGetLeasedAsync(key, destination, results, cancellationToken).ConfigureAwait(false))
        {
            await ReceiveWholeAsync(key, destination, destination.Length, results, cancellationToken).ConfigureAwait(false);
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
        if (sharesMemory && blockBytes >= MinLeasedBytes)
        {
            await GetLeasedAsync(keys, destination, blockBytes, results, cancellationToken).ConfigureAwait(false);
            return CountHits(results.Span[..keys.Count]);
        }

        for (var start = 0; start < keys.Count; start += Limits.MaxBlocksPerRequest)
        {
            var count = Math.Min(Limits.MaxBlocksPerRequest, keys.Count - start);
            await ReceivePartAsync(keys.Slice(start, count), start, destination, blockBytes, results, cancellationToken).ConfigureAwait(false);
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

    /// <summary>
    /// Gets whole blocks over the socket, encoded where they lie so. What came encoded and cannot be decoded here is asked for again as it is, and so is
    /// everything when the node, by now another program, does not know such requests.
    /// </summary>
    private async ValueTask ReceiveWholeAsync(
        KeySelection keys, Memory<byte> destination, int blockBytes, Memory<GetResult> results, CancellationToken cancellationToken)
    {
        var get = GetOperation.Whole(keys, destination, blockBytes, results, verify, encoded);
        await ReceiveAsync(get, keys, results, cancellationToken).ConfigureAwait(false);
        if (encoded is null)
        {
            return;
        }

        if (get is { Outcome: OperationOutcome.Refused, RefusalStatus: NativeStatus.BadRequest })
        {
            await ReceiveAsync(GetOperation.Whole(keys, destination, blockBytes, results, verify), keys, results, cancellationToken).ConfigureAwait(false);
            return;
        }

        foreach (var index in get.Outcome == OperationOutcome.Done ? get.Undecoded : [])
        {
            var (key, part) = (keys.Slice(index, 1), results.Slice(index, 1));
            var plain = GetOperation.Whole(key, destination.Slice(index * blockBytes, blockBytes), blockBytes, part, verify);
            await ReceiveAsync(plain, key, part, cancellationToken).ConfigureAwait(false);
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

    /// <summary>Gets blocks that begin at <paramref name="start"/> of all that are wanted over the socket.</summary>
    private ValueTask ReceivePartAsync(
        KeySelection keys, int start, Memory<byte> destination, int blockBytes, Memory<GetResult> results, CancellationToken cancellationToken)
    {
        var part = results.Slice(start, keys.Count);
        var room = destination.Slice(start * blockBytes, keys.Count * blockBytes);
        return ReceiveWholeAsync(keys, room, blockBytes, part, cancellationToken);
    }

    /// <summary>Gets blocks by leases, and over the socket those for which the node gives none.</summary>
    private async ValueTask GetLeasedAsync(
        KeySelection keys, Memory<byte> destination, int blockBytes, Memory<GetResult> results, CancellationToken cancellationToken)
    {
        await using var run = new LeaseRun(pool, keys, blockBytes, time);
        while (await run.NextAsync(cancellationToken).ConfigureAwait(false) is { } batch)
        {
            var start = batch.Next;
            if (batch.Connection is not { } connection)
            {
                results.Span.Slice(start, batch.TakeRest().Count).Fill(new GetResult(GetStatus.Failed, 0));
            }
            else if (!batch.HasGrants || batch.IsRefused || connection.Arena is not { } arena)
            {
                await ReceivePartAsync(batch.TakeRest(), start, destination, blockBytes, results, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                for (var index = start; batch.TryTake(out var key, out var grant); index++)
                {
                    results.Span[index] = Take(connection, arena, key, grant, destination.Span.Slice(index * blockBytes, blockBytes));
                    connection.GiveBack([grant]);
                }
            }
        }
    }

    /// <summary>Gets one block by a lease. False when the node gave none: it must be read over the socket.</summary>
    private async ValueTask<bool> TryGetLeasedAsync(KeySelection key, Memory<byte> destination, GetResult[] results, CancellationToken cancellationToken)
    {
        var lease = new LeaseOperation(key);
        var connection = await pool.RunAsync(lease, cancellationToken).ConfigureAwait(false);
        if (connection is null)
        {
            results[0] = new GetResult(GetStatus.Failed, 0);
            return true;
        }

        var grant = lease.Grants[0];
        if (lease.Outcome != OperationOutcome.Done || grant.Status == NativeStatus.LeaseRefused || connection.Arena is not { } arena)
        {
            return false;
        }

        results[0] = Take(connection, arena, key, grant, destination.Span);
        connection.GiveBack([grant]);
        return true;
    }

    private GetResult Take(NodeConnection connection, ArenaView arena, KeySelection key, in LeaseGrant grant, Span<byte> destination)
    {
        var result = Take(arena, grant, destination, out var hasMismatch);
        if (hasMismatch)
        {
            connection.Post(new ReportOperation(key));
        }

        return result;
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
