using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvMesh.Worker.Model.Compute;
using KvMesh.Worker.Model.Files;
using KvMesh.Worker.Model.Sampling;

namespace KvMesh.Worker.Serving;

/// <summary>
/// Generates with a model of this process. One thread computes passes of all requests that can go on: a token each for those that decode, pieces of prompts for the
/// others. A request is let in, in order, when there are blocks for all tokens that it may have, so that none ever has to give up what it has computed. What a
/// token is does not depend on what else is computed, nor on where the keys and values before it came from.
/// </summary>
public sealed class GenerationEngine : IGenerator, IAsyncDisposable
{
    private readonly ModelConfig _config;
    private readonly ServingOptions _options;
    private readonly ForwardPass _pass;
    private readonly BlockPool _pool;
    private readonly IPrefixSource? _source;
    private readonly IBlockSink? _sink;
    private readonly WakeSignal _wake = new();
    private readonly Lock _lock = new();
    private readonly List<ServedRequest> _waiting = [];
    private readonly List<ServedRequest> _running = [];
    private readonly PassPlan _plan = new();
    private readonly PrefillMeter _meter;
    private readonly Task _loop;
    private readonly CancellationTokenSource _stopping = new();
    private ServingFigures _figures;

    /// <param name="model">The model; the caller disposes it afterwards.</param>
    /// <param name="pool">Blocks; the engine disposes it.</param>
    /// <param name="options">Bounds; checked.</param>
    /// <param name="source">Where prefixes may come from; null: from nowhere.</param>
    /// <param name="sink">Who takes full blocks; null: nobody.</param>
    internal GenerationEngine(LlamaModel model, BlockPool pool, ServingOptions options, IPrefixSource? source = null, IBlockSink? sink = null)
    {
        options.Check();
        _config = model.Config;
        _options = options;
        _pass = new ForwardPass(model);
        _meter = new PrefillMeter(model.Config);
        _pool = pool;
        _source = source;
        _sink = sink;
        _loop = Task.Factory.StartNew(Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    public ServingFigures Figures
    {
        get
        {
            lock (_lock)
            {
                return _figures with { Running = _running.Count, Waiting = _waiting.Count };
            }
        }
    }

    public IAsyncEnumerable<GeneratedToken> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        Check(request);
        return ReadAsync(request, cancellationToken);
    }

    /// <summary>
    /// Computes the full blocks before a prompt's last token, those that are neither here nor in the mesh, and publishes what the mesh lacks. Returns when
    /// all of it was computed.
    /// </summary>
    internal async Task PrefillAsync(IReadOnlyList<int> prompt, CancellationToken cancellationToken)
    {
        var request = new GenerationRequest { Prompt = prompt, MaxTokens = 1 };
        Check(request);
        var served = Enter(request, isPrefill: true);
        try
        {
            await served.Completion.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            served.Cancel();
            _wake.Set();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        _wake.Set();
        await _loop.ConfigureAwait(false);
        _pass.Dispose();
        _pool.Dispose();
        _stopping.Dispose();
    }

    private async IAsyncEnumerable<GeneratedToken> ReadAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var served = Enter(request, isPrefill: false);
        try
        {
            await foreach (var token in served.Tokens.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                _wake.Set();
                yield return token;
            }
        }
        finally
        {
            served.Cancel();
            _wake.Set();
        }
    }

    private void Check(GenerationRequest request)
    {
        request.Sampling.Validate();
        if (request.Prompt.Count == 0)
        {
            throw new ArgumentException("prompt has 0 tokens; it must have at least 1.");
        }

        if (request.MaxTokens < 1 || request.MaxTokens > _config.MaxTokens - request.Prompt.Count)
        {
            throw new ArgumentException(
                $"max_tokens is {request.MaxTokens} behind a prompt of {request.Prompt.Count} tokens; it must be at least 1, and both together at most {_config.MaxTokens}.");
        }

        foreach (var token in request.Prompt)
        {
            if ((uint)token >= (uint)_config.Vocabulary)
            {
                throw new ArgumentException($"prompt has token {token}; it must be 0 to {_config.Vocabulary - 1}.");
            }
        }

        var blocks = BlocksFor(request.Prompt.Count + request.MaxTokens - 1);
        if (blocks > _pool.CapacityBlocks)
        {
            throw new ArgumentException(
                $"max_tokens is {request.MaxTokens} behind a prompt of {request.Prompt.Count} tokens: {blocks} blocks; the worker has {_pool.CapacityBlocks}.");
        }
    }

    private int BlocksFor(int tokens) => (tokens + _pool.Format.BlockTokens - 1) / _pool.Format.BlockTokens;

    private ServedRequest Enter(GenerationRequest request, bool isPrefill)
    {
        var served = new ServedRequest(request, _pool.Format.BlockTokens, _options.UnreadTokens, isPrefill);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_stopping.IsCancellationRequested, this);
            if (_waiting.Count >= _options.MaxWaiting)
            {
                _figures = _figures with { Refused = _figures.Refused + 1 };
                throw new GenerationOverloadException($"{_waiting.Count} requests wait; the limit is {_options.MaxWaiting}.");
            }

            _waiting.Add(served);
            _figures = _figures with { Requests = _figures.Requests + 1 };
        }

        _wake.Set();
        return served;
    }

    private void Run()
    {
        Exception stopped = new OperationCanceledException("The worker stops.");
        try
        {
            Serve();
        }
#pragma warning disable CA1031 // The root of the thread: whoever waits is told, and whoever comes is refused.
        catch (Exception error)
#pragma warning restore CA1031
        {
            stopped = error;
            _stopping.Cancel();
        }

        End(stopped);
    }

    private void Serve()
    {
        while (!_stopping.IsCancellationRequested)
        {
            _running.ForEach(TakeFetched);
            RemoveDone();
            Admit();
            if (_running.Exists(request => request is { IsDone: true, Fetch: null }))
            {
                // There was nothing to compute: whoever waits may have its blocks.
                continue;
            }

            _running.ForEach(request => request.LookAtFront());
            _plan.Make(_running, _options.MaxPassTokens);
            if (_plan.Entries.Count == 0)
            {
                _wake.Wait();
                continue;
            }

            ComputePass();
        }
    }

    /// <summary>Lets requests in, in order, as long as there are blocks for them.</summary>
    private void Admit()
    {
        lock (_lock)
        {
            _waiting.RemoveAll(request => request.IsCancelled);
        }

        while (_running.Count < _options.MaxRunning && PeekWaiting() is { } request)
        {
            if (!TryPlace(request))
            {
                return;
            }

            lock (_lock)
            {
                _waiting.RemoveAt(0);
                _running.Add(request);
            }
        }
    }

    private ServedRequest? PeekWaiting()
    {
        lock (_lock)
        {
            return _waiting.FirstOrDefault();
        }
    }

    private bool TryPlace(ServedRequest request)
    {
        var chain = request.Chain;
        var prefix = new Protocol.Sequences.BlockHash[request.SharableBlocks];
        for (var block = 0; block < prefix.Length; block++)
        {
            prefix[block] = chain.Hash(block);
        }

        if (_pool.TryTake(prefix, Math.Max(BlocksFor(request.CapacityTokens), 1)) is not { } blocks)
        {
            return false;
        }

        request.Pages = new SequencePages(_pool.Format, blocks, chain);
        if (_source is not null && (request.IsPrefill || blocks.Shared < request.SharableBlocks))
        {
            request.Fetch = _source.Begin(request.Pages, request.SharableBlocks, mayDelegate: !request.IsPrefill, Outlook(request), () => _wake.Set());
        }
        else
        {
            request.Pages.MeshBlocks = blocks.Shared;
            Start(request, blocks.Shared);
        }

        return true;
    }

    /// <summary>How soon a prompt that comes now would be computed.</summary>
    private PrefillOutlook Outlook(ServedRequest request)
    {
        var rate = _meter.Current;
        var before = _running.Where(other => other.Fetch is null && !other.IsDone).Sum(other => rate.Seconds(other.Position, other.Position + other.Missing));
        return new PrefillOutlook(rate, TimeSpan.FromSeconds(before), GoesOn: !request.IsPrefill);
    }

    /// <summary>Goes on with a request whose fetch is over.</summary>
    private void TakeFetched(ServedRequest request)
    {
        if (request.IsCancelled)
        {
            request.Fetch?.Cancel();
        }

        if (request.Fetch is { IsOver: true } fetch)
        {
            var pages = request.Pages!;
            request.Fetch = null;
            pages.MeshBlocks = fetch.MeshBlocks;
            pages.Awaited = null;

            // A pass that waited for the last layers has filled blocks behind them, which are kept behind them only.
            pages.Keep(pages.Shared, Math.Max(Math.Max(fetch.ReadyBlocks, request.Position / pages.Format.BlockTokens) - pages.Shared, 0));

            if (!request.IsCancelled)
            {
                Start(request, fetch.ReadyBlocks);
            }

            fetch.Dispose();
        }
    }

    private void Start(ServedRequest request, int readyBlocks)
    {
        var pages = request.Pages!;
        pages.Sink ??= _sink?.Begin(request.Chain);

        // A pass that waited for the last layers has gone further already.
        if (!request.HasStreamed)
        {
            request.Position = Math.Max(request.Position, readyBlocks * pages.Format.BlockTokens);
            request.CachedTokens = (readyBlocks - request.FrontBlocks) * pages.Format.BlockTokens;
            CountCached(request);
        }

        // What is here and not in the mesh was lost there.
        for (var layer = 0; layer < pages.Format.Layers && pages.MeshBlocks < readyBlocks; layer++)
        {
            pages.Sink?.Publish(pages, pages.MeshBlocks, readyBlocks - pages.MeshBlocks, layer);
        }

        if (request.Missing <= 0)
        {
            request.Finish();
        }
    }

    private void ComputePass()
    {
        var inputs = new ModelInput[_plan.Entries.Count];
        for (var index = 0; index < inputs.Length; index++)
        {
            var (request, tokens) = _plan.Entries[index];
            if (_plan.IsStreaming)
            {
                request.Pages!.Awaited = request.Fetch;
                request.Pages.IsUnwanted = () => request.IsCancelled || _stopping.IsCancellationRequested;
                request.Position = request.SharableBlocks * request.Pages.Format.BlockTokens;
                request.HasStreamed = true;
            }

            inputs[index] = request.NextInput(tokens);
            var blockTokens = request.Pages!.Format.BlockTokens;
            var first = request.Position / blockTokens;
            request.Pages.Filled = (first, (inputs[index].EndPosition / blockTokens) - first);
        }

        var begun = Stopwatch.GetTimestamp();
        try
        {
            _pass.Run(inputs);
        }
        catch (PrefixLostException)
        {
            GiveUpPrefix(_plan.Entries[0].Request);
            return;
        }
        catch (Exception error)
        {
            // The root of the loop: what went wrong ends these requests, and not the others.
            foreach (var (request, _) in _plan.Entries)
            {
                request.Finish(error);
                request.Fetch?.Cancel();
                request.Pages!.Sink?.Abandon();
            }

            return;
        }

        if (!_plan.IsStreaming)
        {
            _meter.Note(inputs, Stopwatch.GetElapsedTime(begun));
        }

        Conclude(inputs);
    }

    /// <summary>Only a request that was computed alone waits for a prefix: it goes on when its fetch is over, from the blocks that came.</summary>
    private void GiveUpPrefix(ServedRequest request)
    {
        request.Position = 0;
        request.HasStreamed = false;
        request.Pages!.Awaited = null;
        request.Pages.Sink?.Abandon();
        request.Fetch!.Cancel();
        lock (_lock)
        {
            _figures = _figures with { LostPrefixes = _figures.LostPrefixes + 1 };
        }
    }

    private void Conclude(ModelInput[] inputs)
    {
        var (row, computed, told) = (0, 0, 0);
        for (var index = 0; index < inputs.Length; index++)
        {
            var request = _plan.Entries[index].Request;
            var (first, count) = request.Pages!.Filled;
            if (_plan.IsStreaming)
            {
                request.CachedTokens = request.Position - (request.FrontBlocks * request.Pages.Format.BlockTokens);
                request.Pages.Awaited = null;
                CountCached(request);
            }

            request.Position = inputs[index].EndPosition;
            computed += inputs[index].Tokens.Length;
            if (request.Fetch is not null && !request.HasStreamed)
            {
                // They are kept with what is fetched before and behind them.
                request.NoteFront();
                continue;
            }

            request.Pages.Keep(first, count);
            if (inputs[index].LogitRows == 1)
            {
                Choose(request, _pass.Logits(row++));
                told++;
            }
            else if (request.Missing == 0)
            {
                request.Finish();
            }
        }

        lock (_lock)
        {
            _figures = _figures with
            {
                Passes = _figures.Passes + 1,
                ComputedTokens = _figures.ComputedTokens + computed,
                GeneratedTokens = _figures.GeneratedTokens + told,
            };
        }
    }

    private void CountCached(ServedRequest request)
    {
        lock (_lock)
        {
            _figures = _figures with { CachedTokens = _figures.CachedTokens + request.CachedTokens };
        }
    }

    private static void Choose(ServedRequest request, ReadOnlySpan<float> logits)
    {
        try
        {
            request.Tell(TokenSampler.Choose(logits, request.Request.Sampling, request.Position));
        }
        catch (ArithmeticException error)
        {
            request.Finish(error);
            return;
        }

        if (request.IsDone)
        {
            request.Finish();
        }
    }

    /// <summary>Gives back the blocks of requests that nobody waits for any more.</summary>
    private void RemoveDone()
    {
        for (var index = _running.Count - 1; index >= 0; index--)
        {
            var request = _running[index];
            if ((request.IsDone || request.IsCancelled) && request.Fetch is null)
            {
                request.Finish();
                request.Pages!.Dispose();
                lock (_lock)
                {
                    _running.RemoveAt(index);
                }
            }
        }
    }

    private void End(Exception stopped)
    {
        lock (_lock)
        {
            _waiting.ForEach(request => request.Finish(stopped));
            _waiting.Clear();
        }

        foreach (var request in _running)
        {
            request.Finish(stopped);
            request.Cancel();
        }

        while (true)
        {
            _running.ForEach(TakeFetched);
            RemoveDone();
            if (_running.Count == 0)
            {
                return;
            }

            _wake.Wait();
        }
    }
}
