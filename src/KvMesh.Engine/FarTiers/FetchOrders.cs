using System.Collections.Concurrent;
using KvMesh.Engine.Blocks;
using Microsoft.Extensions.Logging;

namespace KvMesh.Engine.FarTiers;

/// <summary>What became of an order to bring a block here.</summary>
public enum FetchOrderResult
{
    /// <summary>It came.</summary>
    Fetched,

    /// <summary>It was here already.</summary>
    AlreadyHere,

    /// <summary>No tier gave it, or there was no room.</summary>
    NotFetched,
}

/// <summary>
/// Executes orders to bring blocks here, on threads of its own, behind the reads that clients wait for and within a byte budget. The
/// queue is bounded; whoever gives more orders is told.
/// </summary>
internal sealed class FetchOrders : IDisposable
{
    /// <summary>Longest time that an order steps aside for clients, so that it is late but not starved.</summary>
    private static readonly TimeSpan LongestYield = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(1);

    private readonly FarLookup _far;
    private readonly BlockRegistry _registry;
    private readonly FarTierOptions _options;
    private readonly TimeProvider _time;
    private readonly ConcurrentQueue<Order> _queue = new();
    private readonly ManualResetEventSlim _stopping = new();
    private readonly BackgroundLoop[] _workers;
    private readonly Lock _budgetLock = new();
    private int _queued;
    private long _budgetFrom;
    private double _budgetBytes;

    public FetchOrders(FarLookup far, BlockRegistry registry, FarTierOptions options, TimeProvider time, ILogger logger)
    {
        _far = far;
        _registry = registry;
        _options = options;
        _time = time;
        _budgetFrom = time.GetTimestamp();
        _workers = [.. Enumerable.Range(0, options.BackgroundFetches).Select(_ => new BackgroundLoop("fetch", Idle, Drain, logger))];
    }

    /// <summary>Orders that wait or run.</summary>
    public int Queued => Volatile.Read(ref _queued);

    /// <summary>False when too many orders wait.</summary>
    public bool TryAdd(Tenant tenant, ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> parent, Action<FetchOrderResult, long>? completed)
    {
        if (Interlocked.Increment(ref _queued) > _options.MaxQueuedFetches || _stopping.IsSet)
        {
            Interlocked.Decrement(ref _queued);
            return false;
        }

        _queue.Enqueue(new Order(tenant, key, parent, completed));
        _workers[(uint)key.GetHashCode() % _workers.Length].Signal();
        return true;
    }

    public void Dispose()
    {
        _stopping.Set();
        foreach (var worker in _workers)
        {
            worker.Dispose();
        }

        while (_queue.TryDequeue(out var order))
        {
            order.Completed?.Invoke(FetchOrderResult.NotFetched, 0);
        }

        _stopping.Dispose();
    }

    private void Drain()
    {
        while (!_stopping.IsSet && _queue.TryDequeue(out var order))
        {
            if (!_queue.IsEmpty)
            {
                SignalAll();
            }

            var (result, bytes) = (FetchOrderResult.NotFetched, 0L);
            try
            {
                (result, bytes) = Execute(order);
            }
            finally
            {
                Interlocked.Decrement(ref _queued);
                order.Completed?.Invoke(result, bytes);
            }
        }
    }

    private void SignalAll()
    {
        foreach (var worker in _workers)
        {
            worker.Signal();
        }
    }

    private (FetchOrderResult Result, long Bytes) Execute(in Order order)
    {
        // A copy that has lost something is none of a block that may not: an exact one takes its place.
        var present = _registry.Find(order.Tenant, order.Key.Span);
        var mustBeExact = present is { IsLosslessOnly: true, Loss: not null };
        if (present is not null && !mustBeExact)
        {
            _registry.LinkLate(present, order.Parent.Span);
            return (FetchOrderResult.AlreadyHere, 0);
        }

        StepAside();
        if (!_far.TryOpen(order.Tenant, order.Key.Span, order.Parent, FetchPriority.Background, out var block, mustBeExact))
        {
            return (FetchOrderResult.NotFetched, 0);
        }

        // A reader may have brought it at the same time, who does not know what it follows.
        _registry.LinkLate(block!, order.Parent.Span);
        var bytes = BlockEngine.FetchBytesOf(block!);
        new BlockRead(null!, block!, mustVerify: false).Dispose();
        Spend(bytes);
        return (FetchOrderResult.Fetched, bytes);
    }

    private void StepAside()
    {
        var startedAt = _time.GetTimestamp();
        while (_far.ForegroundFetches > 0 && _time.GetElapsedTime(startedAt) < LongestYield && !_stopping.Wait(TimeSpan.FromMilliseconds(2)))
        {
        }
    }

    /// <summary>Waits until the budget has room for what just came: the next order begins that much later.</summary>
    private void Spend(long bytes)
    {
        if (_options.BackgroundBytesPerSecond <= 0)
        {
            return;
        }

        TimeSpan wait;
        lock (_budgetLock)
        {
            var now = _time.GetTimestamp();
            var earned = _time.GetElapsedTime(_budgetFrom, now).TotalSeconds * _options.BackgroundBytesPerSecond;
            _budgetFrom = now;
            _budgetBytes = Math.Min(_budgetBytes + earned, _options.BackgroundBytesPerSecond) - bytes;
            wait = TimeSpan.FromSeconds(Math.Max(0, -_budgetBytes / _options.BackgroundBytesPerSecond));
        }

        _stopping.Wait(wait);
    }

    private readonly record struct Order(Tenant Tenant, ReadOnlyMemory<byte> Key, ReadOnlyMemory<byte> Parent, Action<FetchOrderResult, long>? Completed);
}
