using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace KvMesh.Worker.Roles;

/// <summary>A prefill worker as a decode worker sees it.</summary>
/// <param name="Address">Where it is asked.</param>
/// <param name="IsUp">Whether it is asked now: it did not fail lately.</param>
/// <param name="Reason">Why it failed last; empty when it did not, or has answered since.</param>
/// <param name="Running">Prompts that it computes for this worker.</param>
public sealed record PrefillWorkerHealth(Uri Address, bool IsUp, string Reason, int Running);

/// <summary>
/// Asks prefill workers: of those that did not fail lately the one with the fewest prompts of ours, and among equals the one that the first block points to, so that
/// prompts that begin alike come to where their blocks are. One that failed is left alone for a second, twice as long after each failure more, up to half a minute.
/// </summary>
internal sealed class PrefillPool : IDisposable
{
    private static readonly TimeSpan ShortestRest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRest = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private readonly Peer[] _peers;
    private readonly HttpClient _http;
    private readonly TimeSpan _grantTimeout;
    private readonly TimeProvider _time;

    /// <param name="token">Secret for the prefill workers; null: they let everybody in.</param>
    public PrefillPool(IReadOnlyList<Uri> addresses, string? token, TimeSpan grantTimeout, TimeProvider time)
    {
        _peers = [.. addresses.Select(address => new Peer(address))];
        _grantTimeout = grantTimeout;
        _time = time;
        _http = new HttpClient(new SocketsHttpHandler { ConnectTimeout = grantTimeout, AllowAutoRedirect = false, UseProxy = false }) { Timeout = Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
    }

    public IReadOnlyList<PrefillWorkerHealth> Health()
    {
        lock (_lock)
        {
            return [.. _peers.Select(peer => new PrefillWorkerHealth(peer.Address, IsUp_NeedsLock(peer), peer.Reason, peer.Running))];
        }
    }

    /// <summary>Asks one worker. Null: none is up, or the one that was asked failed.</summary>
    public async Task<PrefillJob?> AskAsync(PrefillRequest request, ReadOnlyMemory<byte> firstHash, CancellationToken cancellationToken)
    {
        if (Choose(firstHash.Span) is not { } peer)
        {
            return null;
        }

        var job = new PrefillJob(reason => Return(peer, reason));
        try
        {
            await job.BeginAsync(_http, peer.Address, request, _grantTimeout, _time, cancellationToken).ConfigureAwait(false);
            return job;
        }
        catch (Exception error) when (error is HttpRequestException or IOException or JsonException or TimeoutException)
        {
            job.Fail(error.Message);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            job.Leave();
        }
        catch (OperationCanceledException)
        {
            job.Fail("it gave no grant in time");
        }

        await job.DisposeAsync().ConfigureAwait(false);
        return null;
    }

    public void Dispose() => _http.Dispose();

    private Peer? Choose(ReadOnlySpan<byte> hash)
    {
        var point = BinaryPrimitives.ReadUInt64LittleEndian(hash);
        lock (_lock)
        {
            var chosen = _peers.Where(IsUp_NeedsLock).OrderBy(peer => peer.Running).ThenBy(peer => peer.Weight(point)).FirstOrDefault();
            if (chosen is not null)
            {
                chosen.Running++;
            }

            return chosen;
        }
    }

    private bool IsUp_NeedsLock(Peer peer) => peer.Failures == 0 || _time.GetElapsedTime(peer.FailedAt) >= peer.Rest;

    /// <param name="reason">Why it failed; empty: it did not; null: that is not known, because the caller left.</param>
    private void Return(Peer peer, string? reason)
    {
        lock (_lock)
        {
            peer.Running--;
            if (reason is null)
            {
                return;
            }

            peer.Reason = reason;
            peer.Failures = reason.Length == 0 ? 0 : peer.Failures + 1;
            peer.FailedAt = _time.GetTimestamp();
            peer.Rest = ShortestRest * Math.Pow(2, Math.Min(peer.Failures - 1, 5));
            peer.Rest = peer.Rest > LongestRest ? LongestRest : peer.Rest;
        }
    }

    private sealed class Peer(Uri address)
    {
        private readonly ulong _seed = address.ToString().Aggregate(14695981039346656037UL, (hash, letter) => (hash ^ letter) * 1099511628211UL);

        public Uri Address => address;

        public int Running { get; set; }

        public int Failures { get; set; }

        public long FailedAt { get; set; }

        public TimeSpan Rest { get; set; }

        public string Reason { get; set; } = "";

        public ulong Weight(ulong point) => ((_seed ^ point) * 0x9E3779B97F4A7C15) ^ (_seed >> 29);
    }
}

/// <summary>One prompt at one prefill worker. Disposing ends its request, which that worker sees; its blocks stay.</summary>
internal sealed class PrefillJob(Action<string?> returned) : IAsyncDisposable
{
    /// <summary>Characters of a line of an answer: a grant has a few hundred.</summary>
    private const int MaxLine = 16 * 1024;

    private readonly CancellationTokenSource _ended = new();
    private HttpResponseMessage? _response;
    private StreamReader? _lines;
    private string? _reason = "";
    private bool _isDisposed;

    public PrefillGrant Grant { get; private set; } = null!;

    /// <summary>Whether everything was published; false also when the worker is lost. It never throws.</summary>
    public Task<bool> Published { get; private set; } = Task.FromResult(false);

    public async Task BeginAsync(HttpClient http, Uri address, PrefillRequest request, TimeSpan timeout, TimeProvider time, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(timeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        using var message = new HttpRequestMessage(HttpMethod.Post, new Uri(address, PrefillEndpoint.Route))
        {
            Content = new StringContent(JsonSerializer.Serialize(request, PrefillJson.Default.PrefillRequest), Encoding.UTF8, "application/json"),
        };
        _response = await http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, both.Token).ConfigureAwait(false);
        _lines = new StreamReader(await _response.Content.ReadAsStreamAsync(both.Token).ConfigureAwait(false));
        if (_response.StatusCode == HttpStatusCode.Unauthorized)
        {
            throw new HttpRequestException(
                http.DefaultRequestHeaders.Authorization is null
                    ? "it answered 401: it asks for a token, and this worker has none (--prefill-token)"
                    : "it answered 401: the token of this worker (--prefill-token) is none of its callers'");
        }

        var line = await ReadLineAsync(_lines, both.Token).ConfigureAwait(false) ?? "";
        if (_response.StatusCode != HttpStatusCode.OK)
        {
            throw new HttpRequestException($"it answered {(int)_response.StatusCode}: {line}");
        }

        Grant = JsonSerializer.Deserialize(line, PrefillJson.Default.PrefillGrant) ?? throw new JsonException("it gave no grant");
        Published = WaitAsync();
    }

    public void Fail(string reason) => _reason = reason;

    /// <summary>Nobody waits for its answer: that says nothing about the worker.</summary>
    public void Leave() => _reason = null;

    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        await _ended.CancelAsync().ConfigureAwait(false);
        await Published.ConfigureAwait(false);
        _lines?.Dispose();
        _response?.Dispose();
        _ended.Dispose();
        returned(_reason);
    }

    /// <summary>Null at the end.</summary>
    /// <exception cref="IOException">The line is longer than any answer.</exception>
    private static async Task<string?> ReadLineAsync(StreamReader lines, CancellationToken cancellationToken)
    {
        var line = new StringBuilder();
        var letter = new char[1];
        while (await lines.ReadAsync(letter, cancellationToken).ConfigureAwait(false) == 1 && letter[0] != '\n')
        {
            if (line.Length == MaxLine)
            {
                throw new IOException($"its answer has a line of more than {MaxLine} characters");
            }

            line.Append(letter[0]);
        }

        return line.Length == 0 ? null : line.ToString();
    }

    private async Task<bool> WaitAsync()
    {
        try
        {
            return await ReadLineAsync(_lines!, _ended.Token).ConfigureAwait(false) is { } line
                && JsonSerializer.Deserialize(line, PrefillJson.Default.PrefillEnd) is { IsPublished: true };
        }
        catch (Exception error) when (error is IOException or HttpRequestException or JsonException or OperationCanceledException)
        {
            return false;
        }
    }
}
