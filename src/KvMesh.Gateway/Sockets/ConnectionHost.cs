using System.Net;
using KvMesh.Gateway.Telemetry;
using KvMesh.Protocol.Sockets;
using Microsoft.Extensions.Logging;

namespace KvMesh.Gateway.Sockets;

/// <summary>
/// Owns the listeners and connections of the data plane. A connection that speaks gets a thread of its own until it has been
/// silent for the idle window; silent connections are parked and cost none. Listen and Adopt come before Start; Freeze and
/// StopAsync end what Start began, after which Listen, Adopt and Start may come again. Those members are called by one owner;
/// the others from any thread.
/// </summary>
public sealed partial class ConnectionHost
{
    private static readonly TimeSpan RetireWorkersAfter = TimeSpan.FromSeconds(10);

    private readonly SocketOptions _options;
    private readonly StreamSocketOptions _streamOptions;
    private readonly TimeProvider _time;
    private readonly ILogger<ConnectionHost> _logger;
    private readonly ConnectionRegistry _registry;
    private readonly TurnRules _turns = new();
    private readonly List<AcceptLoop> _loops = [];
    private readonly Lock _gate = new();
    private Running? _running;
    private int _isRefusing;

    public ConnectionHost(SocketOptions options, GatewayMetrics metrics, TimeProvider time, ILogger<ConnectionHost> logger)
    {
        _options = options;
        _streamOptions = options.ToStreamOptions();
        _time = time;
        _logger = logger;
        _registry = new ConnectionRegistry(options.MaxConnections);
        ConnectionMetrics.Register(metrics.Meter, Figures);
    }

    /// <summary>Connections open now.</summary>
    public int ConnectionCount => _registry.Count;

    /// <summary>Threads that serve connections now, or wait for one; at most <see cref="SocketOptions.MaxWorkers"/>.</summary>
    public int WorkerCount => Volatile.Read(ref _running)?.Pool.WorkerCount ?? 0;

    /// <summary>
    /// Binds an endpoint; connections are accepted from Start on. Returns the address in effect. Throws
    /// <see cref="AddressInUseException"/> or <see cref="IOException"/> naming the endpoint.
    /// </summary>
    public EndPoint Listen(EndPoint endpoint, ISessionFactory factory)
    {
        var listener = StreamListener.Bind(endpoint, _streamOptions);
        AddLoop(listener, factory);
        return listener.LocalEndPoint;
    }

    /// <summary>Accepts and serves.</summary>
    public void Start()
    {
        _turns.MustYield = false;
        var running = new Running(new WorkerPool(_options.MaxWorkers, RetireWorkersAfter, Serve), new Parker(Dispatch));
        _turns.Watch(running.Pool);
        Volatile.Write(ref _running, running);
        foreach (var connection in _registry.Open)
        {
            running.Parker.Add(connection);
        }

        running.Parker.Start();
        foreach (var loop in Loops())
        {
            loop.Start();
        }
    }

    /// <summary>All open connections, oldest first.</summary>
    public IReadOnlyList<ConnectionSnapshot> Connections() =>
        [.. _registry.Open.Select(connection => connection.Snapshot()).OrderBy(snapshot => snapshot.Id)];

    /// <summary>Addresses in effect and what is spoken there.</summary>
    public IReadOnlyList<(string Protocol, EndPoint Endpoint)> Endpoints() => [.. Loops().Select(loop => (loop.Factory.Protocol, loop.Listener.LocalEndPoint))];

    /// <summary>What connections came to, by protocol.</summary>
    public IReadOnlyList<ProtocolFigures> Figures() => _registry.Figures();

    /// <summary>Ends one connection, in the middle of a command if need be. False when there is none with that id.</summary>
    public bool CloseConnection(long id)
    {
        if (!_registry.TryGet(id, out var connection))
        {
            return false;
        }

        connection.Condemn();
        return true;
    }

    /// <summary>
    /// Stops accepting, lets every session come to a command boundary within <paramref name="drain"/>, cuts the rest off, and
    /// completes when every thread has ended. Cancelling <paramref name="cancellationToken"/> ends the wait, not the stop.
    /// </summary>
    public Task StopAsync(TimeSpan drain, CancellationToken cancellationToken) =>
        OwnedThread.RunAsync("kvmesh-stop", () => Stop(drain)).WaitAsync(cancellationToken);

    private void Stop(TimeSpan drain)
    {
        foreach (var loop in TakeLoops())
        {
            loop.Stop();
            loop.Listener.Dispose();
        }

        EndTurns(drain);
        foreach (var connection in _registry.Open)
        {
            Close(connection);
        }
    }

    /// <summary>
    /// Ends the threads. Afterwards every connection that is left is parked, at a command boundary, unwatched, and the caller's.
    /// Returns how many had to be cut off.
    /// </summary>
    private int EndTurns(TimeSpan patience)
    {
        if (_running is not { } running)
        {
            return 0;
        }

        _turns.MustYield = true;
        running.Parker.Stop();
        Connection[] late = running.Pool.WaitUntilIdle(patience) ? [] : [.. _registry.Open.Where(connection => connection.IsBusy)];
        if (late.Length > 0)
        {
            Log.CutOff(_logger, late.Length, patience.TotalSeconds);
            Array.ForEach(late, connection => connection.Condemn());
        }

        running.Pool.Stop();
        foreach (var connection in _registry.Open)
        {
            running.Parker.Remove(connection);
        }

        running.Pool.Dispose();
        running.Parker.Dispose();
        Volatile.Write(ref _running, null);
        return late.Length;
    }

    private void AddLoop(StreamListener listener, ISessionFactory factory)
    {
        _registry.Totals(factory.Protocol);
        lock (_gate)
        {
            _loops.Add(new AcceptLoop(listener, factory, _streamOptions, Admit, _logger));
        }
    }

    private AcceptLoop[] Loops()
    {
        lock (_gate)
        {
            return [.. _loops];
        }
    }

    private AcceptLoop[] TakeLoops()
    {
        lock (_gate)
        {
            AcceptLoop[] loops = [.. _loops];
            _loops.Clear();
            return loops;
        }
    }

    private sealed record Running(WorkerPool Pool, Parker Parker);
}
