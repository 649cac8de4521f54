using KvMesh.Protocol.Admin;
using Microsoft.Extensions.Hosting;

namespace KvMesh.Gateway.Http.History;

/// <summary>The last ten minutes of the node, one sample a second, so that a page that opens can draw at once.</summary>
internal sealed class NodeHistory(NodeView node) : BackgroundService
{
    /// <summary>Samples kept.</summary>
    public const int Seconds = 600;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly Queue<HistorySample> _samples = new(Seconds);
    private TaskCompletionSource<HistorySample> _next = NewSource();

    /// <summary>At most the last <paramref name="count"/> samples, oldest first.</summary>
    public IReadOnlyList<HistorySample> Latest(int count)
    {
        lock (_lock)
        {
            return [.. _samples.Skip(Math.Max(0, _samples.Count - count))];
        }
    }

    /// <summary>The next sample that is taken.</summary>
    public Task<HistorySample> NextAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return _next.Task.WaitAsync(cancellationToken);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // The first snapshot is taken off the thread that starts the host.
        await Task.Yield();
        var meter = new RateMeter(node);
        using var timer = new PeriodicTimer(Interval, node.Time);
        while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false))
        {
            Add(meter.Sample());
        }
    }

    private static TaskCompletionSource<HistorySample> NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Add(HistorySample sample)
    {
        TaskCompletionSource<HistorySample> waiting;
        lock (_lock)
        {
            if (_samples.Count == Seconds)
            {
                _samples.Dequeue();
            }

            _samples.Enqueue(sample);
            waiting = _next;
            _next = NewSource();
        }

        waiting.SetResult(sample);
    }
}
