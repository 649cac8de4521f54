using KvMesh.Client;

namespace KvMesh.Worker.Mesh;

/// <summary>The way to one node, which may be down now and come back. Nobody waits for it. That of the worker's own node asks it for a sign of life once a second.</summary>
internal sealed class MeshLink : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(1);

    private readonly ClientOptions _options;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _connecting;
    private readonly Task _watching;
    private volatile KvMeshClient? _client;
    private volatile string? _refusal;
    private volatile bool _isUp;

    /// <param name="watches">Whether <see cref="IsUp"/> is wanted.</param>
    public MeshLink(ClientOptions options, bool watches = false)
    {
        _options = options;
        _connecting = Task.Run(ConnectAsync);
        _watching = watches ? Task.Run(WatchAsync) : Task.CompletedTask;
    }

    public string Endpoint => _options.Endpoint;

    /// <summary>Null until the node was reached for the first time; from then on the client itself reconnects.</summary>
    public KvMeshClient? Client => _client;

    /// <summary>Whether the node answered when it was last asked for a sign of life. Of a node that hangs that is known after <see cref="ClientOptions.RequestTimeout"/>.</summary>
    public bool IsUp => _isUp;

    /// <summary>Why there is no client yet, or why the node is not up.</summary>
    public string? Refusal => _refusal;

    /// <summary>Waits for the first connection, at most so long.</summary>
    public async Task<KvMeshClient?> WaitAsync(TimeSpan longest, CancellationToken cancellationToken)
    {
        try
        {
            await _connecting.WaitAsync(longest, _options.Time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // The caller does without.
        }

        return _client;
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _connecting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _watching.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_client is { } client)
        {
            await client.DisposeAsync().ConfigureAwait(false);
        }

        _stopping.Dispose();
    }

    private async Task WatchAsync()
    {
        await _connecting.WaitAsync(_stopping.Token).ConfigureAwait(false);
        while (_client is { } client)
        {
            _isUp = await client.PingAsync(_stopping.Token).ConfigureAwait(false) is not null;
            _refusal = _isUp ? null : $"{Endpoint} does not answer";
            await Task.Delay(WatchInterval, _options.Time, _stopping.Token).ConfigureAwait(false);
        }
    }

    private async Task ConnectAsync()
    {
        while (true)
        {
            try
            {
                _client = await KvMeshClient.ConnectAsync(_options, _stopping.Token).ConfigureAwait(false);
                _refusal = null;
                return;
            }
            catch (KvMeshConnectException error)
            {
                _refusal = error.Message;
            }
            catch (ArgumentException error)
            {
                // An address that is none does not become one.
                _refusal = error.Message;
                return;
            }

            await Task.Delay(Pause, _options.Time, _stopping.Token).ConfigureAwait(false);
        }
    }
}
