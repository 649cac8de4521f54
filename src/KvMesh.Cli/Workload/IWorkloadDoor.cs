namespace KvMesh.Cli.Workload;

/// <summary>
/// What a workload needs from one front door of a node. One client uses it, one call at a time. A node that is lost shows as
/// <see cref="BlockOutcome.Failed"/>, or as an <see cref="IOException"/> from <see cref="MatchAsync"/>; every call ends in bounded time.
/// </summary>
internal interface IWorkloadDoor : IAsyncDisposable
{
    /// <summary>Which of several nodes answered the last match; 0 where there is one.</summary>
    int Endpoint => 0;

    /// <summary>How many blocks of a chain the node has, from the first on. The node keeps them readable for the reads that follow.</summary>
    /// <param name="hashes">Chain hashes, 32 bytes each.</param>
    ValueTask<int> MatchAsync(ReadOnlyMemory<byte> hashes, CancellationToken cancellationToken);

    /// <summary>Reads the blocks of the batch and hands the bytes of each to <see cref="BlockBatch.Accept"/>.</summary>
    ValueTask ReadAsync(BlockBatch batch, CancellationToken cancellationToken);

    /// <summary>Writes the payloads of the batch in chain order.</summary>
    ValueTask WriteAsync(BlockBatch batch, CancellationToken cancellationToken);
}
