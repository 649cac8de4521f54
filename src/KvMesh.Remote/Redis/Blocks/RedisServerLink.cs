using System.Diagnostics;
using System.Net;
using KvMesh.Protocol.Sockets;
using Microsoft.Extensions.Logging;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>
/// The way to one server: a bounded pool of connections behind a breaker. Whoever gets a connection owns it until
/// <see cref="End"/>. Nothing here waits longer than its caller allows, and a server that is out of reach costs a comparison.
/// </summary>
internal sealed partial class RedisServerLink : IDisposable
{
    private readonly RedisTierOptions _options;
    private readonly RedisGreeting _greeting;
    private readonly EndPoint _endpoint;
    private readonly RedisTierMetrics _metrics;
    private readonly ILogger _logger;
    private readonly OperationWatch _watch = new();
    private readonly SemaphoreSlim _free;
    private readonly Lock _lock = new();
    private readonly Stack<RedisConnection> _idle = new();
    private volatile bool _isStopping;

    public RedisServerLink(RedisTierOptions options, RedisTierMetrics metrics, TimeProvider time, ILogger logger)
    {
        _options = options;
        _metrics = metrics;
        _logger = logger;
        _endpoint = StreamEndpoint.Parse(options.Address);
        var password = options.PasswordFile.Length > 0 ? SecretFile.ReadPassword(options.PasswordFile) : null;
        _greeting = new RedisGreeting(System.Text.Encoding.UTF8.GetBytes(options.User), password, options.Database);
        _free = new SemaphoreSlim(options.Connections);
        Reach = new ServerBreaker(time);
        Writes = new ServerBreaker(time);
    }

    /// <summary>Whether the server can be reached and talks sense.</summary>
    public ServerBreaker Reach { get; }

    /// <summary>Whether it stores what it is given.</summary>
    public ServerBreaker Writes { get; }

    /// <summary>Runs when a breaker opens: trials are due from now on.</summary>
    public Action? Opened { get; set; }

    public bool IsUp => Reach.IsClosed && !_isStopping;

    public bool IsWritable => IsUp && Writes.IsClosed;

    /// <summary>Takes a connection, on which an operation of at most <paramref name="limit"/> has begun. False: the server is down, or too much is asked of it.</summary>
    public bool TryBegin(TimeSpan limit, out RedisConnection connection)
    {
        connection = null!;
        if (!IsUp)
        {
            return false;
        }

        var failure = Begin(limit, out var taken);
        if (taken is null)
        {
            if (failure is not null)
            {
                NoteFailure(failure);
            }

            return false;
        }

        connection = taken;
        return true;
    }

    /// <summary>Gives a connection back with what became of its operation. A failure ends it: answers to later commands may still come.</summary>
    public void End(RedisConnection connection, IOException? failure)
    {
        connection.End();
        failure = failure is null ? null : connection.Explain(failure);
        if (failure is null && !connection.IsSpoiled && !connection.IsLate)
        {
            Keep(connection);
        }
        else
        {
            connection.Dispose();
        }

        _free.Release();
        Note(failure);
    }

    /// <summary>While a breaker is open: tries the server when a trial is due. One thread, for which nobody waits.</summary>
    public void TryRecover(byte[] probeKey)
    {
        if (!Reach.IsClosed && Reach.TryClose(() => Try(static (_, _) => { }, probeKey)))
        {
            LogReached(_options.Address);
        }

        if (Reach.IsClosed && !Writes.IsClosed && Writes.TryClose(() => Try(WriteProbe, probeKey)))
        {
            LogStoresAgain(_options.Address);
        }
    }

    /// <summary>Ends every operation. Nothing begins any more.</summary>
    public void Dispose()
    {
        _isStopping = true;
        _watch.Dispose();
        lock (_lock)
        {
            while (_idle.TryPop(out var connection))
            {
                connection.Dispose();
            }
        }
    }

    private IOException? Begin(TimeSpan limit, out RedisConnection? connection)
    {
        connection = null;
        var startedAt = Stopwatch.GetTimestamp();
        if (limit <= TimeSpan.Zero || !_free.Wait(limit))
        {
            _metrics.CountSaturated();
            return null;
        }

        try
        {
            while (TryTakeIdle(out connection))
            {
                if (connection!.IsFresh)
                {
                    connection.Begin(limit - Stopwatch.GetElapsedTime(startedAt));
                    return null;
                }

                connection.Dispose();
                connection = null;
            }

            var left = limit - Stopwatch.GetElapsedTime(startedAt);
            connection = RedisConnection.Open(_endpoint, _greeting, left < _options.ConnectDeadline ? left : _options.ConnectDeadline, _watch);
            connection.Extend(limit - Stopwatch.GetElapsedTime(startedAt));
            return null;
        }
        catch (IOException failure)
        {
            return failure;
        }
        finally
        {
            if (connection is null)
            {
                _free.Release();
            }
        }
    }

    /// <summary>A trial on a connection of its own: those of the pool may be as dead as the server was.</summary>
    private IOException? Try(Action<RedisConnection, byte[]> ask, byte[] probeKey)
    {
        Empty();
        var failure = Begin(_options.ConnectDeadline, out var connection);
        if (connection is null)
        {
            return failure;
        }

        try
        {
            ask(connection, probeKey);
        }
        catch (IOException problem)
        {
            failure = problem;
        }

        connection.End();
        if (failure is null)
        {
            Keep(connection);
        }
        else
        {
            connection.Dispose();
        }

        _free.Release();
        return failure;
    }

    private static void WriteProbe(RedisConnection connection, byte[] probeKey)
    {
        connection.Commands.Begin(5);
        connection.Commands.Add("SET"u8);
        connection.Commands.Add(probeKey);
        connection.Commands.Add("1"u8);
        connection.Commands.Add("PX"u8);
        connection.Commands.Add(1000);
        connection.Send();
        connection.ReadDone();
    }

    private void Note(IOException? failure)
    {
        switch (failure)
        {
            case null:
                Reach.NoteSuccess();
                break;
            case RedisRefusalException { IsOfWritesOnly: true } refusal:
                _metrics.CountRefusal(refusal.Code);
                Reach.NoteSuccess();
                if (Writes.NoteFailure(refusal))
                {
                    LogRefusesWrites(_options.Address, refusal.Message);
                    Opened?.Invoke();
                }

                break;
            default:
                NoteFailure(failure);
                break;
        }
    }

    private void NoteFailure(IOException failure)
    {
        if (_isStopping)
        {
            return;
        }

        _metrics.CountFailure(failure);
        Empty();
        if (Reach.NoteFailure(failure))
        {
            LogOutOfReach(_options.Address, failure.Message);
            Opened?.Invoke();
        }
    }

    private bool TryTakeIdle(out RedisConnection? connection)
    {
        lock (_lock)
        {
            return _idle.TryPop(out connection);
        }
    }

    private void Keep(RedisConnection connection)
    {
        lock (_lock)
        {
            if (!_isStopping)
            {
                _idle.Push(connection);
                return;
            }
        }

        connection.Dispose();
    }

    /// <summary>After a failure the other connections have most likely failed too.</summary>
    private void Empty()
    {
        lock (_lock)
        {
            while (_idle.TryPop(out var connection))
            {
                connection.Dispose();
            }
        }
    }

    [LoggerMessage(4101, LogLevel.Warning, "The Redis tier at {Address} is out of reach and not asked until it answers again: {Reason}")]
    private partial void LogOutOfReach(string address, string reason);

    [LoggerMessage(4102, LogLevel.Information, "The Redis tier at {Address} answers again.")]
    private partial void LogReached(string address);

    [LoggerMessage(4103, LogLevel.Warning, "The Redis tier at {Address} refuses to store: {Reason} It is still read.")]
    private partial void LogRefusesWrites(string address, string reason);

    [LoggerMessage(4104, LogLevel.Information, "The Redis tier at {Address} stores again.")]
    private partial void LogStoresAgain(string address);
}
