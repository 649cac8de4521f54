using KvMesh.Client.Admin;
using Microsoft.Extensions.Logging;

namespace KvMesh.Dashboard.Feed;

/// <summary>
/// Follows a node for any number of pages, so that the load on the node does not depend on how many look. Derived classes say what is asked and how
/// often. <see cref="FeedPool{TKey, TPicture}"/> starts and stops it.
/// </summary>
internal abstract partial class LiveFeed<TPicture> : IAsyncDisposable
    where TPicture : Picture
{
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    private readonly FeedSource _source;
    private readonly CancellationTokenSource _stopping = new();
    private readonly ILogger _logger;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile TPicture _current;
    private Task _loop = Task.CompletedTask;

    protected LiveFeed(FeedSource source, TPicture first)
    {
        _source = source;
        _logger = source.Logger;
        _current = (TPicture)((Picture)first with { Node = source.Node, TakenAt = source.Time.GetUtcNow() });
    }

    public TPicture Current => _current;

    protected FeedSource Source => _source;

    /// <summary>Longest time without a word of the node.</summary>
    protected abstract TimeSpan Silence { get; }

    public void Start() => _loop = Task.Run(RunAsync);

    /// <summary>Stops following; the last picture stays.</summary>
    public virtual async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        _stopping.Dispose();
    }

    /// <summary>The current picture once it is newer than <paramref name="version"/>.</summary>
    public async Task<TPicture> NewerThanAsync(long version, CancellationToken cancellationToken)
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

    /// <summary>Asks the node and publishes what it says, until the token is cancelled or the node fails.</summary>
    protected abstract Task FollowAsync(AdminClient admin, CancellationToken cancellationToken);

    /// <summary>The next picture is this one; its version and time are set here.</summary>
    protected void Publish(TPicture picture)
    {
        _current = (TPicture)((Picture)picture with { Version = _current.Version + 1, TakenAt = _source.Time.GetUtcNow() });
        Interlocked.Exchange(ref _changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
    }

    /// <summary>As <see cref="Publish"/>, of a node that answers.</summary>
    protected void PublishLive(TPicture picture) =>
        Publish((TPicture)((Picture)picture with { State = FeedState.Live, Trouble = null, HeardAt = _source.Time.GetUtcNow() }));

    private async Task RunAsync()
    {
        using var admin = _source.Connect();
        var cancellationToken = _stopping.Token;
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await FollowAsync(admin, cancellationToken).ConfigureAwait(false);
                PublishTrouble(FeedState.Offline, "The node ended the stream of its figures.");
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (AdminRefusedException refusal)
            {
                PublishTrouble(StateOf(refusal), refusal.Message);
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
            {
                LogSilence(_source.Node, exception.Message);
                PublishTrouble(FeedState.Offline, Explain(exception));
            }

            await Task.Delay(RetryInterval, _source.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void PublishTrouble(FeedState state, string trouble) =>
        Publish((TPicture)((Picture)_current with { State = state, Trouble = trouble }));

    private static FeedState StateOf(AdminRefusedException refusal) => refusal switch
    {
        { NeedsToken: true } => FeedState.NeedsToken,
        { LacksRights: true } => FeedState.LacksRights,
        _ => FeedState.Offline,
    };

    private string Explain(Exception exception) => exception switch
    {
        OperationCanceledException => $"The node was silent for {Silence.TotalSeconds:0} seconds.",
        HttpRequestException { StatusCode: { } code } => $"The node answered {(int)code}.",
        HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError } => "The connection was refused.",
        HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError } => "The name of the node is not known.",
        _ => "The connection to the node broke.",
    };

    [LoggerMessage(EventId = 1, Level = LogLevel.Debug, Message = "The node at {Node} does not answer the dashboard: {Reason}")]
    private partial void LogSilence(Uri node, string reason);
}

/// <summary>Whom a feed asks, and as whom.</summary>
/// <param name="Token">Null: without one.</param>
internal sealed record FeedSource(Uri Node, string? Token, TimeProvider Time, ILogger Logger)
{
    public AdminClient Connect() => new(Node, Token);
}
