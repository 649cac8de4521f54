using KvMesh.Simulation.Traces;

namespace KvMesh.Cli.Workload;

/// <summary>
/// Drives clients over a list of prompts: each takes the next prompt in the list's order. Figures can be read while it runs.
/// </summary>
internal sealed class WorkloadRunner
{
    /// <summary>Prompts in a row that may fail before the node counts as lost.</summary>
    internal const int MaxFailuresInARow = 16;

    private readonly IReadOnlyList<PromptRequest> _requests;
    private readonly IReadOnlyList<WorkloadClient> _clients;
    private readonly TimeProvider _time;
    private readonly double _speed;
    private int _next;
    private int _failuresInARow;
    private long _startedAt;
    private long _elapsedTicks = -1;

    /// <param name="requests">Prompts in order of arrival.</param>
    /// <param name="clients">Engines that serve them, at least one.</param>
    /// <param name="time">Clock of arrivals and latencies.</param>
    /// <param name="speed">1 keeps the arrival times, 10 is ten times faster, 0 waits for nothing.</param>
    public WorkloadRunner(IReadOnlyList<PromptRequest> requests, IReadOnlyList<WorkloadClient> clients, TimeProvider time, double speed)
    {
        _requests = requests;
        _clients = clients;
        _time = time;
        _speed = speed;
    }

    public int RequestCount => _requests.Count;

    /// <summary>Time since <see cref="RunAsync"/> began, until it ended.</summary>
    public TimeSpan Elapsed => Volatile.Read(ref _elapsedTicks) is >= 0 and var ticks
        ? TimeSpan.FromTicks(ticks)
        : _startedAt == 0 ? TimeSpan.Zero : _time.GetElapsedTime(_startedAt);

    public WorkloadTotals Totals => _clients.Aggregate(default(WorkloadTotals), (sum, client) => sum + client.Tally.Totals());

    public string? FirstMismatch => _clients.Select(client => client.Tally.FirstMismatch).FirstOrDefault(text => text is not null);

    public string? FirstError => _clients.Select(client => client.Tally.FirstError).FirstOrDefault(text => text is not null);

    /// <summary>Sums over the clients for one of several nodes.</summary>
    public (long Requests, long Blocks, long HitBlocks) At(int endpoint) => _clients.Select(client => client.Tally.At(endpoint))
        .Aggregate((sum, part) => (sum.Requests + part.Requests, sum.Blocks + part.Blocks, sum.HitBlocks + part.HitBlocks));

    /// <summary>Latencies of all clients: of matches, and per prompt of reads and writes.</summary>
    public (LatencyHistogram Match, LatencyHistogram Read, LatencyHistogram Write) Latencies => (
        LatencyHistogram.Sum(_clients.Select(client => client.Tally.Match)),
        LatencyHistogram.Sum(_clients.Select(client => client.Tally.Read)),
        LatencyHistogram.Sum(_clients.Select(client => client.Tally.Write)));

    /// <exception cref="WorkloadAbortedException">The node stopped answering.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _startedAt = _time.GetTimestamp();
        try
        {
            // A thread pool thread for each client: the doors check payloads between their waits.
            await Task.WhenAll(_clients.Select(client => Task.Run(() => RunClientAsync(client, stop), stop.Token)));
        }
        finally
        {
            Volatile.Write(ref _elapsedTicks, _time.GetElapsedTime(_startedAt).Ticks);
        }
    }

    private async Task RunClientAsync(WorkloadClient client, CancellationTokenSource stop)
    {
        try
        {
            while (Interlocked.Increment(ref _next) - 1 is var index && index < _requests.Count)
            {
                await WaitForArrivalAsync(_requests[index], stop.Token);
                await ServeAsync(client, _requests[index], stop.Token);
            }
        }
        catch (WorkloadAbortedException)
        {
            await stop.CancelAsync();
            throw;
        }
    }

    private async Task ServeAsync(WorkloadClient client, PromptRequest request, CancellationToken cancellationToken)
    {
        var errors = client.Tally.Totals().Errors;
        try
        {
            await client.ServeAsync(request, cancellationToken);
        }
        catch (IOException e)
        {
            client.Tally.CountError(e.Message);
        }

        if (client.Tally.Totals().Errors == errors)
        {
            Volatile.Write(ref _failuresInARow, 0);
        }
        else if (Interlocked.Increment(ref _failuresInARow) >= MaxFailuresInARow)
        {
            throw new WorkloadAbortedException($"{MaxFailuresInARow} prompts in a row failed; the last: {client.Tally.FirstError}");
        }
    }

    private async ValueTask WaitForArrivalAsync(PromptRequest request, CancellationToken cancellationToken)
    {
        if (_speed > 0)
        {
            var due = TimeSpan.FromMilliseconds((request.TimestampMs - _requests[0].TimestampMs) / _speed);
            var wait = due - _time.GetElapsedTime(_startedAt);
            if (wait > TimeSpan.Zero)
            {
                await Task.Delay(wait, _time, cancellationToken);
            }
        }

        cancellationToken.ThrowIfCancellationRequested();
    }
}

/// <summary>A workload ended early because the node was lost.</summary>
internal sealed class WorkloadAbortedException(string message) : Exception(message);
