using StackExchange.Redis;

namespace KvMesh.Remote.Redis.Sequences;

/// <summary>
/// The connection that sequences have for themselves, so that their traffic never delays a heartbeat. It is opened by the first call; the
/// client heals it afterwards. Any thread.
/// </summary>
public sealed class RedisSequenceConnection : IAsyncDisposable
{
    private readonly ConfigurationOptions _configuration;
    private readonly Lock _lock = new();
    private Task<IConnectionMultiplexer>? _opening;
    private bool _isDisposed;

    /// <param name="configuration">host:port,…, further servers and options of the client behind commas.</param>
    /// <param name="clientName">Shown by CLIENT LIST of the server.</param>
    public RedisSequenceConnection(string configuration, string clientName)
    {
        _configuration = ConfigurationOptions.Parse(configuration);
        _configuration.ClientName = clientName;
        _configuration.AbortOnConnectFail = false;
        _configuration.ConnectRetry = 1;
        _configuration.ConnectTimeout = Math.Min(_configuration.ConnectTimeout, 2000);
        _configuration.KeepAlive = _configuration.KeepAlive > 0 ? _configuration.KeepAlive : 5;
        _configuration.ReconnectRetryPolicy = new LinearRetry(500);
    }

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
            await ((Task)opening).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (opening.IsCompletedSuccessfully)
            {
                var connection = await opening.ConfigureAwait(false);
                await connection.CloseAsync(allowCommandsToComplete: false).ConfigureAwait(false);
                connection.Dispose();
            }
        }
    }

    /// <summary>The connection, which need not have reached the server yet. A failed opening is tried again by the next call.</summary>
    internal Task<IConnectionMultiplexer> OpenAsync()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            return _opening is null or { IsFaulted: true } ? _opening = ConnectAsync() : _opening;
        }
    }

    private async Task<IConnectionMultiplexer> ConnectAsync()
    {
        // Resolving a name and the client's own set-up block for a moment; no caller's lock is held meanwhile.
        await Task.Yield();
        return await ConnectionMultiplexer.ConnectAsync(_configuration).ConfigureAwait(false);
    }
}
