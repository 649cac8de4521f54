using KvMesh.Client.Admin;
using Microsoft.Extensions.Logging;

namespace KvMesh.Dashboard.Feed;

/// <summary>
/// Follows one node with one credential, for any number of pages. It holds one stream of updates and asks for lists now and then,
/// so that the load on the node does not depend on how many look. <see cref="NodeFeeds"/> starts and stops it.
/// </summary>
internal sealed partial class NodeFeed(Uri node, string? token, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    /// <summary>The node keeps ten minutes; this much is shown.</summary>
    public const int HistorySeconds = 600;

    private const int PrefixCount = 10;
    private const int ListsEveryUpdates = 2;
    private const int PrefixesEveryUpdates = 5;

    /// <summary>An update comes every second; three that did not come mean that the node hangs.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stopping = new();
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile NodePicture _current = NodePicture.Empty with { Node = node, TakenAt = time.GetUtcNow() };
    private Task _loop = Task.CompletedTask;

    public NodePicture Current => _current;

    public void Start() => _loop = Task.Run(RunAsync);

    /// <summary>Stops following; the last picture stays.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        _stopping.Dispose();
    }

    /// <summary>The current picture once it is newer than <paramref name="version"/>.</summary>
    public async Task<NodePicture> NewerThanAsync(long version, CancellationToken cancellationToken)
    {
        while (true)
        {
            // The signal is taken before the look, so that a picture published in between is seen.
            var changed = Volatile.Read(ref _changed).Task;
            if (_current is var picture && picture.Version > version)
            {
                return picture;
            }

            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task RunAsync()
    {
        using var admin = new AdminClient(node, token);
        var cancellationToken = _stopping.Token;
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await FollowAsync(admin, cancellationToken).ConfigureAwait(false);
                Publish(_current with { State = FeedState.Offline, Trouble = "The node ended the stream of its figures." });
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (AdminRefusedException refusal)
            {
                Publish(_current with { State = StateOf(refusal), Trouble = refusal.Message });
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
            {
                LogSilence(node, exception.Message);
                Publish(_current with { State = FeedState.Offline, Trouble = Explain(exception) });
            }

            await Task.Delay(RetryInterval, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task FollowAsync(AdminClient admin, CancellationToken cancellationToken)
    {
        using var silence = new CancellationTokenSource(Silence, time);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, silence.Token);
        var history = new HistoryWindow(HistorySeconds);
        history.Replace((await admin.GetHistoryAsync(HistorySeconds, patience.Token).ConfigureAwait(false)).Samples);
        var updates = 0;
        await foreach (var update in admin.WatchAsync(patience.Token).ConfigureAwait(false))
        {
            silence.CancelAfter(Silence);
            if (update.Sample is { } sample)
            {
                history.Add(sample);
            }

            var picture = await WithListsAsync(admin, _current, updates++, patience.Token).ConfigureAwait(false);
            silence.CancelAfter(Silence);
            Publish(picture with
            {
                State = FeedState.Live,
                Trouble = null,
                HeardAt = time.GetUtcNow(),
                Status = update.Status,
                History = history.ToList(),
            });
        }
    }

    private static async Task<NodePicture> WithListsAsync(AdminClient admin, NodePicture picture, int update, CancellationToken cancellationToken)
    {
        if (update % ListsEveryUpdates == 0)
        {
            var tenants = await PartAsync(admin.GetTenantsAsync(cancellationToken)).ConfigureAwait(false);
            var connections = await PartAsync(admin.GetConnectionsAsync(cancellationToken)).ConfigureAwait(false);
            picture = picture with { Tenants = tenants, Connections = connections };
        }

        if (update % PrefixesEveryUpdates == 0)
        {
            picture = picture with { Prefixes = await PartAsync(admin.GetPrefixesAsync(PrefixCount, cancellationToken)).ConfigureAwait(false) };
        }

        return picture;
    }

    private static async Task<Part<T>> PartAsync<T>(Task<T> asked)
        where T : class
    {
        try
        {
            return new Part<T>(await asked.ConfigureAwait(false), IsDenied: false);
        }
        catch (AdminRefusedException refusal) when (refusal.LacksRights)
        {
            return Part.Denied<T>();
        }
    }

    private static FeedState StateOf(AdminRefusedException refusal) => refusal switch
    {
        { NeedsToken: true } => FeedState.NeedsToken,
        { LacksRights: true } => FeedState.LacksRights,
        _ => FeedState.Offline,
    };

    private static string Explain(Exception exception) => exception switch
    {
        OperationCanceledException => $"The node was silent for {Silence.TotalSeconds:0} seconds.",
        HttpRequestException { StatusCode: { } code } => $"The node answered {(int)code}.",
        HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError } => "The connection was refused.",
        HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError } => "The name of the node is not known.",
        _ => "The connection to the node broke.",
    };

    private void Publish(NodePicture picture)
    {
        _current = picture with { Version = _current.Version + 1, TakenAt = time.GetUtcNow() };
        Interlocked.Exchange(ref _changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
    }

    [LoggerMessage(EventId = 1, Level = LogLevel.Debug, Message = "The node at {Node} does not answer the dashboard: {Reason}")]
    private partial void LogSilence(Uri node, string reason);
}
