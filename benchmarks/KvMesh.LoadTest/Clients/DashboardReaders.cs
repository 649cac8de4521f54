using KvMesh.Client.Admin;

namespace KvMesh.LoadTest.Clients;

/// <summary>
/// Reads a node as so many dashboards do that run in processes of their own: the stream of updates, its tenants and connections with every
/// second update, its prefixes with every fifth. They read until they are disposed.
/// </summary>
internal sealed class DashboardReaders : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly CancellationTokenSource _stop = new();
    private readonly Task[] _readers;
    private readonly int[] _updates;

    public DashboardReaders(Uri node, int count)
    {
        _updates = new int[count];
        _readers = [.. Enumerable.Range(0, count).Select(index => Task.Run(() => ReadAsync(node, index, _stop.Token)))];
    }

    /// <summary>Waits until each has had so many updates: then connections are open and code is compiled.</summary>
    public void AwaitUpdates(int updates)
    {
        if (!SpinWait.SpinUntil(() => _readers.Any(reader => reader.IsFaulted) || Array.TrueForAll(_updates, seen => seen >= updates), Patience))
        {
            throw new LoadTestException($"The dashboards did not get {updates} updates within {Patience.TotalSeconds} s.");
        }
    }

    public void Dispose()
    {
        _stop.Cancel();
        Task.WaitAll(_readers);
        _stop.Dispose();
    }

    private async Task ReadAsync(Uri node, int index, CancellationToken cancellationToken)
    {
        using var admin = new AdminClient(node, null);
        try
        {
            await foreach (var _ in admin.WatchAsync(cancellationToken))
            {
                var update = Interlocked.Increment(ref _updates[index]);
                if (update % 2 == 0)
                {
                    await admin.GetTenantsAsync(cancellationToken);
                    await admin.GetConnectionsAsync(cancellationToken);
                }

                if (update % 5 == 0)
                {
                    await admin.GetPrefixesAsync(10, cancellationToken);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The run is over.
        }
    }
}
