using KvMesh.Cli.Workload;
using KvMesh.Protocol;

namespace KvMesh.Cli.Tests.Workload;

/// <summary>A door to a dictionary, with the faults that a test asks for.</summary>
internal sealed class ModelDoor : IWorkloadDoor
{
    private readonly Dictionary<string, byte[]> _blocks = [];

    /// <summary>Answers a read of the n-th block of a batch with the bytes of the block before it.</summary>
    public int? MixUpAt { get; set; }

    /// <summary>Flips one bit of what is read.</summary>
    public bool Corrupts { get; set; }

    /// <summary>Claims a hit without delivering bytes.</summary>
    public bool DeliversNothing { get; set; }

    /// <summary>Loses the node.</summary>
    public bool IsLost { get; set; }

    /// <summary>While the node is lost, a match says that nothing is there, as a native client does.</summary>
    public bool LostMatchesNothing { get; set; }

    /// <summary>Loses the node after the match: reads and what follows are not answered.</summary>
    public bool LosesReads { get; set; }

    public List<int> WrittenBatchSizes { get; } = [];

    public int Count => _blocks.Count;

    public void Forget(ReadOnlyMemory<byte> hash) => _blocks.Remove(Name(hash));

    public ValueTask<int> MatchAsync(ReadOnlyMemory<byte> hashes, CancellationToken cancellationToken)
    {
        if (IsLost && LostMatchesNothing)
        {
            return ValueTask.FromResult(0);
        }

        if (IsLost)
        {
            throw new IOException("connection refused");
        }

        var found = 0;
        while (found < hashes.Length / Limits.ChainHashBytes && _blocks.ContainsKey(Name(hashes.Slice(found * 32, 32))))
        {
            found++;
        }

        return ValueTask.FromResult(found);
    }

    public ValueTask ReadAsync(BlockBatch batch, CancellationToken cancellationToken)
    {
        if (LosesReads)
        {
            IsLost = true;
            return ValueTask.CompletedTask;
        }

        for (var i = 0; i < batch.Count; i++)
        {
            var source = i == MixUpAt ? i - 1 : i;
            if (!_blocks.TryGetValue(Name(batch.HashOf(source)), out var payload))
            {
                batch.Outcomes[i] = BlockOutcome.Skipped;
                continue;
            }

            var slot = batch.SlotOf(i).Span;
            if (!DeliversNothing)
            {
                payload.CopyTo(slot);
            }

            slot[^1] ^= (byte)(Corrupts ? 1 : 0);
            batch.Accept(i, slot);
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask WriteAsync(BlockBatch batch, CancellationToken cancellationToken)
    {
        if (IsLost)
        {
            return ValueTask.CompletedTask;
        }

        WrittenBatchSizes.Add(batch.Count);
        for (var i = 0; i < batch.Count; i++)
        {
            batch.Outcomes[i] = _blocks.TryAdd(Name(batch.HashOf(i)), batch.SlotOf(i).ToArray()) ? BlockOutcome.Done : BlockOutcome.Skipped;
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static string Name(ReadOnlyMemory<byte> hash) => Convert.ToHexString(hash.Span);
}
