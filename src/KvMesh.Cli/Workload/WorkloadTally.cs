namespace KvMesh.Cli.Workload;

/// <summary>What one client of a workload did. The client is the only writer; others read figures that lag a little.</summary>
internal sealed class WorkloadTally(int endpoints)
{
    private readonly long[] _requestsAt = new long[endpoints];
    private readonly long[] _blocksAt = new long[endpoints];
    private readonly long[] _hitsAt = new long[endpoints];
    private long _requests;
    private long _blocks;
    private long _hitBlocks;
    private long _storedBlocks;
    private long _presentBlocks;
    private long _refusedBlocks;
    private long _mismatchedBlocks;
    private long _mismatchedBytes;
    private long _errors;
    private long _readBytes;
    private long _writtenBytes;

    public LatencyHistogram Match { get; } = new();

    public LatencyHistogram Read { get; } = new();

    public LatencyHistogram Write { get; } = new();

    /// <summary>The first wrong answer, in words; null when there was none.</summary>
    public string? FirstMismatch { get; private set; }

    /// <summary>The first error, in words; null when there was none.</summary>
    public string? FirstError { get; private set; }

    /// <param name="endpoint">Node at which the request entered.</param>
    public void CountRequest(int blocks, int hits, int endpoint)
    {
        Add(ref _requestsAt[endpoint], 1);
        Add(ref _blocksAt[endpoint], blocks);
        Add(ref _hitsAt[endpoint], hits);
        Add(ref _requests, 1);
        Add(ref _blocks, blocks);
        Add(ref _hitBlocks, hits);
    }

    public void CountRead(BlockBatch batch)
    {
        for (var i = 0; i < batch.Count; i++)
        {
            if (batch.Outcomes[i] == BlockOutcome.Failed)
            {
                CountError("a read was not answered");
            }
            else if (batch.Outcomes[i] == BlockOutcome.Done)
            {
                Add(ref _readBytes, batch.BlockBytes);
                CountCheck(batch.First + i, batch.CheckOf(i));
            }
        }
    }

    public void CountWrite(BlockBatch batch)
    {
        foreach (var outcome in batch.Outcomes)
        {
            switch (outcome)
            {
                case BlockOutcome.Done:
                    Add(ref _storedBlocks, 1);
                    Add(ref _writtenBytes, batch.BlockBytes);
                    break;
                case BlockOutcome.Skipped:
                    Add(ref _presentBlocks, 1);
                    break;
                case BlockOutcome.Refused:
                    Add(ref _refusedBlocks, 1);
                    break;
                default:
                    CountError("a write was not answered");
                    break;
            }
        }
    }

    public void CountError(string what)
    {
        FirstError ??= what;
        Add(ref _errors, 1);
    }

    public WorkloadTotals Totals() => new(
        Volatile.Read(ref _requests), Volatile.Read(ref _blocks), Volatile.Read(ref _hitBlocks), Volatile.Read(ref _storedBlocks),
        Volatile.Read(ref _presentBlocks), Volatile.Read(ref _refusedBlocks), Volatile.Read(ref _mismatchedBlocks),
        Volatile.Read(ref _mismatchedBytes), Volatile.Read(ref _errors), Volatile.Read(ref _readBytes), Volatile.Read(ref _writtenBytes));

    /// <summary>Requests, their blocks and hits at one of several nodes.</summary>
    public (long Requests, long Blocks, long HitBlocks) At(int endpoint) =>
        (Volatile.Read(ref _requestsAt[endpoint]), Volatile.Read(ref _blocksAt[endpoint]), Volatile.Read(ref _hitsAt[endpoint]));

    private static void Add(ref long counter, long amount) => Volatile.Write(ref counter, counter + amount);

    private void CountCheck(int block, PayloadCheck check)
    {
        if (check.IsMatch)
        {
            return;
        }

        FirstMismatch ??= $"block {block}: {check.MismatchedBytes} bytes differ from byte {check.FirstMismatch} on; there it reads as "
            + $"key word {check.Seen.KeyWord:x16}, version {check.Seen.Version}";
        Add(ref _mismatchedBlocks, 1);
        Add(ref _mismatchedBytes, check.MismatchedBytes);
    }
}

/// <summary>Sums over the clients of a workload.</summary>
internal readonly record struct WorkloadTotals(
    long Requests, long Blocks, long HitBlocks, long StoredBlocks, long PresentBlocks, long RefusedBlocks, long MismatchedBlocks,
    long MismatchedBytes, long Errors, long ReadBytes, long WrittenBytes)
{
    public double HitRatio => Blocks == 0 ? 0 : (double)HitBlocks / Blocks;

    public static WorkloadTotals operator +(WorkloadTotals a, WorkloadTotals b) => new(
        a.Requests + b.Requests, a.Blocks + b.Blocks, a.HitBlocks + b.HitBlocks, a.StoredBlocks + b.StoredBlocks,
        a.PresentBlocks + b.PresentBlocks, a.RefusedBlocks + b.RefusedBlocks, a.MismatchedBlocks + b.MismatchedBlocks,
        a.MismatchedBytes + b.MismatchedBytes, a.Errors + b.Errors, a.ReadBytes + b.ReadBytes, a.WrittenBytes + b.WrittenBytes);
}
