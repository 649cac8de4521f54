using System.Net;
using System.Net.Sockets;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Remote.Peers;

/// <summary>
/// The addresses behind the endpoint of a node. A host name is resolved in the background, since nobody knows how long that takes: who needs it waits only as
/// long as it may, and once it is known nobody waits while it is looked up again. Any thread.
/// </summary>
internal sealed class PeerAddresses(EndPoint endpoint, TimeProvider time, Func<string, Task<IPAddress[]>>? resolve = null)
{
    /// <summary>A name may mean another machine after this.</summary>
    private static readonly TimeSpan KeepTime = TimeSpan.FromSeconds(30);

    private readonly Func<string, Task<IPAddress[]>> _resolve = resolve ?? Dns.GetHostAddressesAsync;
    private readonly Lock _lock = new();
    private volatile EndPoint[]? _known = endpoint is DnsEndPoint ? null : [endpoint];
    private Task? _resolving;
    private long _knownAt;

    /// <summary>The addresses, in the order in which they are to be tried.</summary>
    /// <exception cref="ChannelException">They are not known, and were not found within <paramref name="patience"/>.</exception>
    public IReadOnlyList<EndPoint> Get(TimeSpan patience)
    {
        if (endpoint is not DnsEndPoint name)
        {
            return _known!;
        }

        Task resolving;
        lock (_lock)
        {
            if (_known is { } known && time.GetElapsedTime(_knownAt) < KeepTime)
            {
                return known;
            }

            resolving = _resolving ??= Task.Run(() => ResolveAsync(name));
        }

        if (_known is null && patience > TimeSpan.Zero)
        {
            resolving.Wait(patience);
        }

        return _known ?? throw new ChannelException($"The host {name.Host} was not resolved in time, or has no address.");
    }

    private async Task ResolveAsync(DnsEndPoint name)
    {
        EndPoint[] found = [];
        try
        {
            found = [.. (await _resolve(name.Host).ConfigureAwait(false)).Select(address => new IPEndPoint(address, name.Port))];
        }
        catch (Exception error) when (error is SocketException or ArgumentException)
        {
            // What is known stays, and the next one who needs it asks again.
        }

        lock (_lock)
        {
            _known = found.Length > 0 ? found : _known;
            _knownAt = time.GetTimestamp();
            _resolving = null;
        }
    }
}
