using System.Diagnostics.CodeAnalysis;
using KvMesh.Cluster.Membership;
using StackExchange.Redis;

namespace KvMesh.Remote.Redis.Coordination;

/// <summary>
/// The connection to the Redis that holds the shared state: short scripts and small values. What goes wrong comes out as
/// <see cref="StoreSilentException"/>, or as the caller's own cancellation, which is its time limit. Any thread.
/// </summary>
public sealed class RedisLink : IAsyncDisposable
{
    /// <summary>Most commands without an answer. A server that hangs would else be given more and more.</summary>
    private const int MaxOutstanding = 512;

    /// <summary>A connection that answered nothing for this long is given up for a new one: the peer may be gone without a word.</summary>
    private static readonly TimeSpan HangLimit = TimeSpan.FromSeconds(15);

    private readonly ConfigurationOptions _options;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private readonly List<(RedisChannel Channel, Action Handler)> _subscriptions = [];
    private Task<ConnectionMultiplexer>? _connecting;
    private long _lastAnswer;
    private int _outstanding;
    private bool _isDisposed;

    /// <param name="configuration">As <see cref="TryParse(string, out string?)"/> accepts it.</param>
    /// <param name="clientName">Shown by CLIENT LIST of the server.</param>
    public RedisLink(string configuration, string clientName, TimeProvider time)
    {
        if (!TryParse(configuration, out var options, out var error))
        {
            throw new ArgumentException(error, nameof(configuration));
        }

        _options = options;
        _options.ClientName = clientName;
        _options.ReconnectRetryPolicy = new ScatteredRetry(clientName);
        _time = time;
        Description = "Redis " + string.Join(", ", options.EndPoints.Select(SocketText));
    }

    /// <summary>Addresses of the servers, without secrets.</summary>
    public string Description { get; }

    /// <summary>How often the client was set up anew.</summary>
    internal int Openings { get; private set; }

    /// <summary>Whether a text is an address of Redis, with options of the client behind commas. The error does not repeat it: it may hold a password.</summary>
    public static bool TryParse(string configuration, [NotNullWhen(false)] out string? error) => TryParse(configuration, out _, out error);

    /// <summary>Runs a script. Its keys lie in one hash slot.</summary>
    /// <exception cref="StoreSilentException">The server cannot be reached, or refuses: it loads, is full, is read-only.</exception>
    /// <exception cref="OperationCanceledException">The caller's time is over; the server may run the script all the same.</exception>
    internal async Task<RedisResult> EvaluateAsync(string script, RedisKey[] keys, RedisValue[] values, CancellationToken cancellationToken)
    {
        var multiplexer = await ConnectAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await SendKnownAsync(multiplexer, script, keys, values, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            GiveUpIfHung();
            throw;
        }
        catch (Exception exception) when (exception is RedisException or ObjectDisposedException or OperationCanceledException or TimeoutException)
        {
            if (exception is not RedisServerException)
            {
                GiveUpIfHung();
            }

            throw new StoreSilentException(Reason(exception), exception);
        }
    }

    /// <summary>Asks the server whether it would run a script.</summary>
    /// <exception cref="StoreSilentException">The server cannot be reached, or refuses.</exception>
    /// <exception cref="OperationCanceledException">The caller's time is over.</exception>
    public async Task CheckAsync(CancellationToken cancellationToken) =>
        await EvaluateAsync("return 1", [], [], cancellationToken).ConfigureAwait(false);

    /// <summary>Calls a handler for each message of a channel, from the first connection on. Messages of a time without connection are lost.</summary>
    internal void Subscribe(string channel, Action handler)
    {
        lock (_lock)
        {
            _subscriptions.Add((new RedisChannel(channel, RedisChannel.PatternMode.Literal), handler));
        }
    }

    public async ValueTask DisposeAsync()
    {
        Task<ConnectionMultiplexer>? connecting;
        lock (_lock)
        {
            _isDisposed = true;
            connecting = _connecting;
            _connecting = null;
        }

        if (connecting is not null)
        {
            await CloseAsync(connecting).ConfigureAwait(false);
        }
    }

    private static bool TryParse(string configuration, [NotNullWhen(true)] out ConfigurationOptions? options, [NotNullWhen(false)] out string? error)
    {
        options = null;
        try
        {
            options = ConfigurationOptions.Parse(configuration);
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException)
        {
            error = "it must be host:port, further ones and options of the client behind commas, such as redis-1:6379,redis-2:6379,ssl=true; "
                + $"the part that is wrong: {exception.GetType().Name} in one of {configuration.Split(',').Length} parts.";
            return false;
        }

        if (options.EndPoints.Count == 0)
        {
            error = "it names no server; it must be host:port.";
            return false;
        }

        options.AbortOnConnectFail = false;
        options.ConnectRetry = 1;
        options.ConnectTimeout = Math.Min(options.ConnectTimeout, 2000);
        options.KeepAlive = options.KeepAlive > 0 ? options.KeepAlive : 5;
        error = null;
        return true;
    }

    private static string SocketText(System.Net.EndPoint endpoint) => endpoint switch
    {
        System.Net.DnsEndPoint dns => $"{dns.Host}:{(dns.Port == 0 ? 6379 : dns.Port)}",
        System.Net.IPEndPoint ip => new System.Net.IPEndPoint(ip.Address, ip.Port == 0 ? 6379 : ip.Port).ToString(),
        _ => endpoint.ToString() ?? "",
    };

    /// <summary>What went wrong, in words: the client's own name connections, commands and its inner state.</summary>
    private string Reason(Exception exception) => exception switch
    {
        RedisServerException => $"{Description} refused: {FirstLine(exception.Message)}",
        RedisConnectionException { FailureType: ConnectionFailureType.AuthenticationFailure } => $"{Description} refuses the name or the password.",
        TimeoutException => $"{Description} did not answer in time.",
        _ => $"There is no connection to {Description}.",
    };

    private static string FirstLine(string text) => text.Split('\n')[0].Split("; inst:")[0].Trim();

    private async Task<RedisResult> SendKnownAsync(
        ConnectionMultiplexer multiplexer, string script, RedisKey[] keys, RedisValue[] values, CancellationToken cancellationToken)
    {
        try
        {
            return await SendAsync(multiplexer, script, keys, values, cancellationToken).ConfigureAwait(false);
        }
        catch (RedisServerException exception) when (exception.Message.StartsWith("NOSCRIPT", StringComparison.Ordinal))
        {
            // The server was started anew since the client sent it the script; the client knows that now.
            return await SendAsync(multiplexer, script, keys, values, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<RedisResult> SendAsync(
        ConnectionMultiplexer multiplexer, string script, RedisKey[] keys, RedisValue[] values, CancellationToken cancellationToken)
    {
        if (Interlocked.Increment(ref _outstanding) > MaxOutstanding)
        {
            Interlocked.Decrement(ref _outstanding);
            GiveUpIfHung();
            throw new StoreSilentException($"{MaxOutstanding} commands wait for an answer.");
        }

        var answer = multiplexer.GetDatabase().ScriptEvaluateAsync(script, keys, values);
        _ = answer.ContinueWith(NoteAnswer, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return await answer.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    private void NoteAnswer(Task<RedisResult> answer)
    {
        Interlocked.Decrement(ref _outstanding);
        if (answer.IsCompletedSuccessfully || answer.Exception?.InnerException is RedisServerException)
        {
            Volatile.Write(ref _lastAnswer, _time.GetTimestamp());
        }
    }

    private async Task<ConnectionMultiplexer> ConnectAsync(CancellationToken cancellationToken)
    {
        Task<ConnectionMultiplexer> connecting;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_connecting is null or { IsFaulted: true } or { IsCanceled: true })
            {
                Openings++;
                _connecting = OpenAsync([.. _subscriptions]);
                Volatile.Write(ref _lastAnswer, _time.GetTimestamp());
            }

            connecting = _connecting;
        }

        try
        {
            return await connecting.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            GiveUpIfHung();
            throw;
        }
        catch (Exception exception)
        {
            // Whatever the client's set-up throws, it is the store that cannot be reached.
            throw new StoreSilentException(Reason(exception), exception);
        }
    }

    private async Task<ConnectionMultiplexer> OpenAsync(List<(RedisChannel Channel, Action Handler)> subscriptions)
    {
        // Resolving a name and the client's own set-up block for a moment; no caller's lock is held meanwhile.
        await Task.Yield();
        var multiplexer = await ConnectionMultiplexer.ConnectAsync(_options).ConfigureAwait(false);
        foreach (var (channel, handler) in subscriptions)
        {
            // The client remembers it and subscribes again after each reconnect; no connection now is no failure.
            _ = multiplexer.GetSubscriber().SubscribeAsync(channel, (_, _) => handler())
                .ContinueWith(static task => _ = task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }

        return multiplexer;
    }

    /// <summary>
    /// Gives the connection up for a new one when it brought no answer for long, whatever the reason: it hangs, its set-up never ended, or the client
    /// says at once that there is none and does not find the way back to the server by itself.
    /// </summary>
    private void GiveUpIfHung()
    {
        Task<ConnectionMultiplexer>? old = null;
        lock (_lock)
        {
            if (_time.GetElapsedTime(Volatile.Read(ref _lastAnswer)) > HangLimit)
            {
                (old, _connecting) = (_connecting, null);
            }
        }

        if (old is not null)
        {
            _ = CloseAsync(old);
        }
    }

    private static async Task CloseAsync(Task<ConnectionMultiplexer> connecting)
    {
        try
        {
            var multiplexer = await connecting.ConfigureAwait(false);
            await multiplexer.CloseAsync(allowCommandsToComplete: false).ConfigureAwait(false);
            multiplexer.Dispose();
        }
        catch (Exception exception) when (exception is RedisException or ObjectDisposedException or System.Net.Sockets.SocketException or TimeoutException)
        {
            // It is given up either way.
        }
    }
}
