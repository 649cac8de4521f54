using System.Collections.Concurrent;

namespace KvMesh.LoadTest.Faults.Networks;

/// <summary>
/// All parties on the loopback address, with a proxy between each node and Redis, and, where peers are to be cut off, one before each node that the others go
/// through. Needs no rights. A proxy does not know who comes: a node that is cut off from one peer is so from all.
/// </summary>
/// <param name="hasFronts">Whether ways between nodes can be cut. Without, nodes reach each other directly.</param>
internal sealed class LoopbackNetwork(bool hasFronts) : MeshNetwork
{
    private readonly ConcurrentDictionary<string, CuttableProxy> _toRedis = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, CuttableProxy> _fronts = new(StringComparer.Ordinal);

    public override string Kind => hasFronts ? "proxies, which cut a node off from all peers when one is meant" : "a proxy";

    public override string[] ProgramOf(string party) => [];

    public override string HostOf(string party) => "127.0.0.1";

    public override string RedisFor(string node, int port) => _toRedis.GetOrAdd(node, _ => new CuttableProxy(port)).Address;

    public override IEnumerable<(string Option, string Value)> OptionsFor(string node, int nativePort) =>
        hasFronts ? [("Mesh__AdvertiseAddress", _fronts.GetOrAdd(node, _ => new CuttableProxy(nativePort)).Address)] : [];

    public override Task CutAsync(string from, string to)
    {
        if (to == Redis)
        {
            _toRedis[from].Cut(there: true);
        }
        else if (from == Redis)
        {
            _toRedis[to].Cut(there: false);
        }
        else
        {
            // What it asks of the other one, and what it answers to it.
            _fronts[to].Cut(there: true);
            _fronts[from].Cut(there: false);
        }

        return Task.CompletedTask;
    }

    public override Task MendAsync()
    {
        foreach (var proxy in _toRedis.Values.Concat(_fronts.Values))
        {
            proxy.Mend();
        }

        return Task.CompletedTask;
    }

    public override async ValueTask DisposeAsync() =>
        await Task.WhenAll(_toRedis.Values.Concat(_fronts.Values).Select(proxy => proxy.DisposeAsync().AsTask()));
}
