namespace KvMesh.Cluster.Membership;

/// <summary>
/// One question to the store at a time. An asker whose time is over goes away; the question stays open, and whoever asks next gets the answer to
/// it. So a store that is slow is not asked the same again and again, and no answer is thrown away. One thread.
/// </summary>
/// <param name="patience">After this time the question is given up.</param>
internal sealed class OpenQuestion<TRequest, TReply>(Func<TRequest, CancellationToken, ValueTask<TReply>> ask, TimeSpan patience, TimeProvider time)
{
    private Asked? _asked;

    /// <summary>Whether an answer is waited for.</summary>
    public bool IsOpen => _asked is not null;

    /// <summary>Asks, unless a question is open already. The request that was answered may be an earlier one.</summary>
    /// <param name="request">Makes the request.</param>
    /// <param name="cancellationToken">The time of this asker.</param>
    public async Task<Answered<TRequest, TReply>> AskAsync(Func<TRequest> request, CancellationToken cancellationToken)
    {
        var isLate = IsOpen;
        var asked = _asked ??= new Asked(request(), ask, patience, time);
        try
        {
            var reply = await asked.Answer.WaitAsync(cancellationToken).ConfigureAwait(false);
            Close(asked);
            return new Answered<TRequest, TReply>(asked.Request, asked.At, reply, isLate);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested && !asked.IsGivenUp)
        {
            throw;
        }
        catch
        {
            Close(asked);
            throw;
        }
    }

    /// <summary>Nobody wants the answer any more. The store may do what it was asked all the same.</summary>
    public void Close()
    {
        _asked?.Dispose();
        _asked = null;
    }

    /// <summary>Ends a question, which may not be the open one any more: an asker that comes late leaves its successor's alone.</summary>
    private void Close(Asked asked)
    {
        asked.Dispose();
        if (ReferenceEquals(_asked, asked))
        {
            _asked = null;
        }
    }

    private sealed class Asked : IDisposable
    {
        private readonly CancellationTokenSource _limit = new();
        private readonly ITimer _timer;

        public Asked(TRequest request, Func<TRequest, CancellationToken, ValueTask<TReply>> ask, TimeSpan patience, TimeProvider time)
        {
            Request = request;
            At = time.GetTimestamp();
            _timer = time.CreateTimer(static state => ((Asked)state!).GiveUp(), this, patience, Timeout.InfiniteTimeSpan);
            Answer = RunAsync(ask);
        }

        public TRequest Request { get; }

        public long At { get; }

        public Task<TReply> Answer { get; }

        public bool IsGivenUp { get; private set; }

        public void Dispose()
        {
            _timer.Dispose();
            if (Answer.IsCompleted)
            {
                _limit.Dispose();
                return;
            }

            // Whatever becomes of it, nobody looks at it.
            _ = Answer.ContinueWith(static task => _ = task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            _limit.Cancel();
        }

        private async Task<TReply> RunAsync(Func<TRequest, CancellationToken, ValueTask<TReply>> ask) => await ask(Request, _limit.Token).ConfigureAwait(false);

        private void GiveUp()
        {
            IsGivenUp = true;
            try
            {
                _limit.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // It was answered in this moment.
            }
        }
    }
}

/// <summary>A question and the answer to it.</summary>
/// <param name="AskedAt">Timestamp; what the answer says was so at this time or later.</param>
/// <param name="IsLate">An asker went away before it came.</param>
internal readonly record struct Answered<TRequest, TReply>(TRequest Request, long AskedAt, TReply Reply, bool IsLate);
