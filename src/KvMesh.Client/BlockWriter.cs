using KvMesh.Client.Connections;
using KvMesh.Client.Operations;
using KvMesh.Client.SharedMemory;
using KvMesh.Protocol;
using KvMesh.Protocol.Native;

namespace KvMesh.Client;

/// <summary>Writes blocks: out of the connection's staging file when the payload was built there, through it when there is one, else over the socket.</summary>
internal sealed class BlockWriter(ConnectionPool pool)
{
    /// <summary>Smaller blocks travel with the request at less cost than a copy to the staging file.</summary>
    private const int MinStagedBytes = 16 * 1024;

    /// <summary>Blocks of one chain that are on their way at once.</summary>
    private const int Window = 4;

    /// <summary>One attempt on what is open, and one on what is opened because that was lost.</summary>
    private const int Attempts = 2;

    public async ValueTask<PutStatus> PutAsync(
        KeySelection key, ReadOnlyMemory<byte> parentHash, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        if (payload.Length > Limits.MaxBlockBytes)
        {
            return PutStatus.TooLarge;
        }

        StagedMemory.TryFind(payload, out var staged, out _);
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            using var borrowed = await pool.BorrowAsync(staged?.Area, cancellationToken).ConfigureAwait(false);
            if (borrowed.Connection is not { } connection)
            {
                return PutStatus.Failed;
            }

            if (await TryPutAsync(connection, key, parentHash, payload, cancellationToken).ConfigureAwait(false) is { } status)
            {
                return status;
            }
        }

        return PutStatus.Failed;
    }

    public async ValueTask PutManyAsync(
        KeySelection keys, ReadOnlyMemory<byte> hashes, ReadOnlyMemory<byte> parentHash, IReadOnlyList<ReadOnlyMemory<byte>> payloads,
        Memory<PutStatus> results, CancellationToken cancellationToken)
    {
        results.Span[..keys.Count].Fill(PutStatus.Failed);
        for (var start = 0; start < keys.Count; start += Limits.MaxBlocksPerRequest)
        {
            var count = Math.Min(Limits.MaxBlocksPerRequest, keys.Count - start);
            var offer = new OfferOperation(keys.Slice(start, count), payloads, start);
            StagedMemory.TryFind(payloads[start], out var staged, out _);
            var connection = await pool.RunAsync(offer, staged?.Area, cancellationToken).ConfigureAwait(false);
            if (connection is null || offer.Outcome != OperationOutcome.Done)
            {
                return;
            }

            var chain = new Chain(connection, keys, hashes, parentHash, payloads, results);
            if (!await SendWantedAsync(chain, offer, start, count, cancellationToken).ConfigureAwait(false))
            {
                return;
            }
        }
    }

    /// <summary>Writes one block on one connection. Null: the connection was lost.</summary>
    private static async ValueTask<PutStatus?> TryPutAsync(
        NodeConnection connection, KeySelection key, ReadOnlyMemory<byte> parentHash, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        if (StagedMemory.TryFind(payload, out var staged, out var start) && staged.Area == connection.Staging && staged.TryUse())
        {
            try
            {
                return await CommitAsync(connection, new CommitOperation(key, parentHash, start, payload.Length, null), cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                staged.EndUse();
            }
        }

        if (payload.Length >= MinStagedBytes && connection.Staging is { } staging && staging.TryRent(payload.Length, out var offset))
        {
            try
            {
                var checksum = staging.Fill(offset, payload.Span);
                return await CommitAsync(connection, new CommitOperation(key, parentHash, offset, payload.Length, checksum), cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                staging.Return(offset);
            }
        }

        var put = new PutOperation(key, parentHash, payload);
        await connection.ExecuteAsync(put, cancellationToken).ConfigureAwait(false);
        return put.Outcome == OperationOutcome.Lost ? null : put.Status;
    }

    /// <summary>
    /// The commit is not cancelled once it was sent: until it is answered the node may be reading the part that is given back then. One
    /// that is lost was lost by the end of its connection, which comes before the operation completes: a node that copies later sees it.
    /// </summary>
    private static async ValueTask<PutStatus?> CommitAsync(NodeConnection connection, CommitOperation commit, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await connection.ExecuteAsync(commit, CancellationToken.None).ConfigureAwait(false);
        return commit.Outcome == OperationOutcome.Lost ? null : commit.Status;
    }

    /// <summary>Sends the wanted blocks in order. False: one was not stored, and the rest of the chain would hang in the air.</summary>
    private async ValueTask<bool> SendWantedAsync(Chain chain, OfferOperation offer, int start, int count, CancellationToken cancellationToken)
    {
        var underWay = new Queue<(int Index, Task<PutStatus> Put)>(Window);
        var failure = default(PutStatus?);
        var index = start;
        try
        {
            for (; index < start + count && failure is null; index++)
            {
                var answer = offer.Answer(index - start);
                if (answer != NativeStatus.Wanted)
                {
                    failure = Note(chain, index, PutOperation.Translate(answer));
                    continue;
                }

                underWay.Enqueue((index, PutInOrderAsync(chain, index, cancellationToken)));
                if (underWay.Count == Window)
                {
                    var (oldest, put) = underWay.Dequeue();
                    failure = Note(chain, oldest, await put.ConfigureAwait(false));
                }
            }
        }
        finally
        {
            // Also after a cancellation: the payloads are the caller's again only when nobody sends them any more.
            while (underWay.TryDequeue(out var item))
            {
                await ((Task)item.Put).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                failure = Note(chain, item.Index, item.Put.IsCompletedSuccessfully ? await item.Put.ConfigureAwait(false) : PutStatus.Failed) ?? failure;
            }
        }

        cancellationToken.ThrowIfCancellationRequested();
        if (failure is { } status)
        {
            chain.Results.Span[index..chain.Keys.Count].Fill(status);
        }

        return failure is null;
    }

    /// <summary>Keeps what became of one block. Returns it when the block is not there now.</summary>
    private static PutStatus? Note(Chain chain, int index, PutStatus status)
    {
        chain.Results.Span[index] = status;
        return status is PutStatus.Stored or PutStatus.AlreadyPresent ? null : status;
    }

    /// <summary>Puts one block on the connection of its chain, so that parents arrive first; on any other when that one is lost.</summary>
    private async Task<PutStatus> PutInOrderAsync(Chain chain, int index, CancellationToken cancellationToken)
    {
        var key = chain.Keys.Slice(index, 1);
        var parent = chain.ParentOf(index);
        return await TryPutAsync(chain.Connection, key, parent, chain.Payloads[index], cancellationToken).ConfigureAwait(false)
            ?? await PutAsync(key, parent, chain.Payloads[index], cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Consecutive blocks that are written together.</summary>
    private sealed record Chain(
        NodeConnection Connection,
        KeySelection Keys,
        ReadOnlyMemory<byte> Hashes,
        ReadOnlyMemory<byte> ParentHash,
        IReadOnlyList<ReadOnlyMemory<byte>> Payloads,
        Memory<PutStatus> Results)
    {
        public ReadOnlyMemory<byte> ParentOf(int index) =>
            index == 0 ? ParentHash : Hashes.Slice((index - 1) * Limits.ChainHashBytes, Limits.ChainHashBytes);
    }
}
