using System.Net;
using System.Net.Sockets;
using System.Text;

namespace KvMesh.System.Tests.Workers;

/// <summary>A loopback port that passes everything on to a server, and does something once before the first answer with a given text is passed on.</summary>
internal sealed class AnswerRelay : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Uri _server;
    private readonly string? _text;
    private readonly Lazy<Task> _once;
    private readonly Task _accepting;

    /// <param name="server">Where everything goes.</param>
    /// <param name="text">What the answer must contain; null: it is done before any answer is read, behind the first bytes of a request.</param>
    /// <param name="act">What is done; nothing is passed on until it is.</param>
    public AnswerRelay(Uri server, string? text, Func<Task> act)
    {
        (_server, _text, _once) = (server, text, new Lazy<Task>(act));
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public Uri Address => new($"http://{_listener.LocalEndpoint}");

    /// <summary>Whether it was done.</summary>
    public bool HasActed => _once.IsValueCreated && _once.Value.IsCompletedSuccessfully;

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _listener.Stop();
        await _accepting;
        _listener.Dispose();
        _stopping.Dispose();
    }

    private async Task AcceptAsync()
    {
        var passing = new List<Task>();
        try
        {
            while (true)
            {
                passing.Add(PassAsync(await _listener.AcceptTcpClientAsync(_stopping.Token)));
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(passing);
        }
    }

    private async Task PassAsync(TcpClient caller)
    {
        using var server = new TcpClient();
        using (caller)
        {
            try
            {
                await server.ConnectAsync(IPAddress.Loopback, _server.Port, _stopping.Token);
                using var over = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
                var requests = CopyAsync(caller.GetStream(), server.GetStream(), _text is null ? "" : null, over.Token);
                var answers = CopyAsync(server.GetStream(), caller.GetStream(), _text, over.Token);
                await Task.WhenAny(requests, answers);
                await over.CancelAsync();
                await Task.WhenAll(requests, answers);
            }
            catch (Exception gone) when (gone is SocketException or OperationCanceledException)
            {
                // Nobody is there: the caller's connection ends, as it would without a relay.
            }
        }
    }

    private async Task CopyAsync(NetworkStream from, NetworkStream to, string? awaited, CancellationToken cancellationToken)
    {
        var bytes = new byte[16 * 1024];
        var seen = new StringBuilder();
        try
        {
            while (await from.ReadAsync(bytes, cancellationToken) is > 0 and var count)
            {
                seen.Append(Encoding.Latin1.GetString(bytes, 0, count));
                if (awaited is "")
                {
                    await to.WriteAsync(bytes.AsMemory(0, count), cancellationToken);
                    await _once.Value;
                }
                else
                {
                    if (awaited is not null && seen.ToString().Contains(awaited, StringComparison.Ordinal))
                    {
                        await _once.Value;
                    }

                    await to.WriteAsync(bytes.AsMemory(0, count), cancellationToken);
                }
            }
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException)
        {
            // One side has closed; the other is closed behind it.
        }
    }
}
