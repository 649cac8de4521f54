using StackExchange.Redis;

namespace KvMesh.Remote.Redis.Sequences;

/// <summary>
/// The connection that sequences have for themselves, so that their traffic never delays a heartbeat. It is opened by the first call; the
/// client heals it afterwards. Any thread.
/// </summary>
public sealed class RedisSequenceConnection : IAsyncDisposable
{
    /// <summary>A connection that answered nothing for this long is given up for a new one: the peer may be gone without a word.</summary>
    public static readonly TimeSpan HangLimit = TimeSpan.FromSeconds(15);

    private readonly ConfigurationOptions _configuration;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private Task<IConnectionMultiplexer>? _opening;
    private long _lastAnswer;
    private bool _isDisposed;

    /// <param name="configuration">host:port,…, further servers and options of the client behind commas.</param>
    /// <param name="clientName">Shown by CLIENT LIST of the server.</param>
    public RedisSequenceConnection(string configuration, string clientName, TimeProvider time)
    {
        _time = time;
        _configuration = ConfigurationOptions.Parse(configuration);
        _configuration.ClientName = clientName;
        _configuration.AbortOnConnectFail = false;
        _configuration.ConnectRetry = 1;
        _configuration.ConnectTimeout = Math.Min(_configuration.ConnectTimeout, 2000);
        _configuration.KeepAlive = _configuration.KeepAlive > 0 ? _configuration.KeepAlive : 5;
        _configuration.ReconnectRetryPolicy = new LinearRetry(500);
    }

    /// <summary>How often the client was set up anew.</summary>
    internal int Openings { get; private set; }

    public async ValueTask DisposeAsync()
    {
        Task<IConnectionMultiplexer>? opening;
        lock (_lock)
        {
            _isDisposed = true;
            opening = _opening;
        }

        if (opening is not null)
        {
            await CloseAsync(opening).ConfigureAwait(false);
        }
    }

    /// <summary>The connection, which need not have reached the server yet. A failed opening is tried again by the next call.</summary>
    internal Task<IConnectionMultiplexer> OpenAsync()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_opening is null or { IsFaulted: true } or { IsCanceled: true })
            {
                Openings++;
                Volatile.Write(ref _lastAnswer, _time.GetTimestamp());
                _opening = ConnectAsync();
            }

            return _opening;
        }
    }

    /// <summary>The server said something, an error included.</summary>
    internal void NoteAnswer() => Volatile.Write(ref _lastAnswer, _time.GetTimestamp());

    /// <summary>
    /// A call had no answer. Makes the next one open another connection when nothing was heard over this one for long, whatever the reason: it hangs, its set-up
    /// never ended, or the client says at once that there is none and does not find the way back to the server by itself.
    /// </summary>
    internal void GiveUpIfHung()
    {
        Task<IConnectionMultiplexer>? hung;
        lock (_lock)
        {
            if (_isDisposed || _opening is null || _time.GetElapsedTime(Volatile.Read(ref _lastAnswer)) <= HangLimit)
            {
                return;
            }

            hung = _opening;
            _opening = null;
        }

        _ = CloseAsync(hung);
    }

    private static async Task CloseAsync(Task<IConnectionMultiplexer> opening)
    {
        try
        {
            var connection = await opening.ConfigureAwait(false);
            await connection.CloseAsync(allowCommandsToComplete: false).ConfigureAwait(false);
            connection.Dispose();
        }
        catch (Exception exception) when (exception is RedisException or ObjectDisposedException or System.Net.Sockets.SocketException or TimeoutException)
        {
            // It is given up either way.
        }
    }

    private async Task<IConnectionMultiplexer> ConnectAsync()
    {
        // Resolving a name and the client's own set-up block for a moment; no caller's lock is held meanwhile.
        await Task.Yield();
        return await ConnectionMultiplexer.ConnectAsync(_configuration).ConfigureAwait(false);
    }
}
