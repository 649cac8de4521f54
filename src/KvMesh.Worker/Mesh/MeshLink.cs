using KvMesh.Client;

namespace KvMesh.Worker.Mesh;

/// <summary>The way to one node, which may be down now and come back. Nobody waits for it.</summary>
internal sealed class MeshLink : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    private readonly ClientOptions _options;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _connecting;
    private volatile KvMeshClient? _client;
    private volatile string? _refusal;

    public MeshLink(ClientOptions options)
    {
        _options = options;
        _connecting = Task.Run(ConnectAsync);
    }

    public string Endpoint => _options.Endpoint;

    /// <summary>Null until the node was reached for the first time; from then on the client itself reconnects.</summary>
    public KvMeshClient? Client => _client;

    /// <summary>Why there is no client yet.</summary>
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
        if (_client is { } client)
        {
            await client.DisposeAsync().ConfigureAwait(false);
        }

        _stopping.Dispose();
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
