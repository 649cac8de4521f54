using System.Runtime.CompilerServices;
using System.Text;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Removals;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Cluster.Tests.Removals;

/// <summary>One node as removals see it: a set of keys of the tenant acme instead of an engine, and a memory that outlives its runs. Turns are made by the test.</summary>
internal sealed class RemovalNode : IRemovalTarget, IRemovalMemory, IClusterViews, IAsyncDisposable
{
    private readonly SwitchedLog _log;
    private readonly SimulatedClock _clock;
    private RemovalState? _saved;

    public RemovalNode(string id, SwitchedLog log, SimulatedClock clock)
    {
        Self = NodeId.Parse(id);
        _log = log;
        _clock = clock;
        Removals = Open();
    }

    public NodeId Self { get; }

    public HashSet<string> Keys { get; } = [];

    public List<PurgeScope> Purged { get; } = [];

    public int Drops { get; private set; }

    public KvMesh.Cluster.Removals.Removals Removals { get; private set; }

    public ClusterView Current { get; set; } = ClusterView.Empty;

    /// <summary>Tells and reads, once.</summary>
    public Task<bool> TurnAsync() => Removals.CatchUpAsync(Eventually.Patience, CancellationToken.None);

    public void Remove(string key)
    {
        Removals.Remove("acme", Bytes(key));
        Keys.Remove(key);
    }

    public void PurgeTenant(string tenant = "acme")
    {
        Removals.Purge(new PurgeScope(tenant, null, null));
        ClearKeysOf(tenant);
    }

    /// <summary>Whether it may take a key from another, as that other sees it.</summary>
    public bool MayTake(string key, RemovalNode from) =>
        Removals.MayPull("acme", Bytes(key), out var guard) && from.Removals.MayServe("acme", guard);

    /// <summary>Kill -9 and a start on the same data directory.</summary>
    public void Restart() => Removals = Open();

    public void Drop(string tenant, ReadOnlySpan<byte> key) => Keys.Remove(Encoding.UTF8.GetString(key));

    public void Purge(PurgeScope scope)
    {
        Purged.Add(scope);
        ClearKeysOf(scope.Tenant);
    }

    public void DropEverything()
    {
        Drops++;
        Keys.Clear();
    }

    /// <summary>What it remembers becomes unreadable.</summary>
    public void SpoilMemory() => _saved = RemovalState.Lost;

    public RemovalState? Load() => _saved;

    public void Save(RemovalState state) => _saved = state;

    public async IAsyncEnumerable<ClusterView> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        yield return Current;
    }

    public ValueTask DisposeAsync() => Removals.DisposeAsync();

    private void ClearKeysOf(string tenant)
    {
        if (tenant == "acme")
        {
            Keys.Clear();
        }
    }

    private static byte[] Bytes(string key) => Encoding.UTF8.GetBytes(key);

    private KvMesh.Cluster.Removals.Removals Open() => new(this, _log, this, this, Eventually.Patience, _clock, NullLoggerFactory.Instance);
}
