using System.Threading.Channels;
using KvMesh.Worker.Model.Text;
using KvMesh.Worker.Serving;

namespace KvMesh.Worker.Front;

/// <summary>A piece of one choice's text.</summary>
/// <param name="Choice">Index of its prompt.</param>
/// <param name="Text">May be empty in the last piece.</param>
/// <param name="FinishReason">In the last piece why it ended: stop or length.</param>
internal readonly record struct AnswerPiece(int Choice, string Text, string? FinishReason);

/// <summary>
/// Generates the choices of one request, all at once: the generator batches. Whoever reads the pieces slowly slows the generator down. The pieces end with the
/// exception that ended the first choice that failed. Disposal stops what is still generated and waits for its end.
/// </summary>
internal sealed class CompletionRun : IAsyncDisposable
{
    // Enough that a generator does not wait for a socket, little enough to be nothing in memory.
    private const int MaxPiecesAhead = 64;

    private readonly CompletionCall _call;
    private readonly IGenerator _generator;
    private readonly Tokenizer _tokenizer;
    private readonly HashSet<int> _endTokens;
    private readonly FrontMetrics _metrics;
    private readonly long _startedAt;
    private readonly Channel<AnswerPiece> _pieces = Channel.CreateBounded<AnswerPiece>(MaxPiecesAhead);
    private readonly CancellationTokenSource _stop;
    private readonly Task _running;
    private int _completionTokens;
    private int _cachedTokens;
    private int _left;

    public CompletionRun(
        CompletionCall call, IGenerator generator, Tokenizer tokenizer, IReadOnlyCollection<int> endTokens, FrontMetrics metrics, long startedAt, CancellationToken cancellationToken)
    {
        _call = call;
        _generator = generator;
        _tokenizer = tokenizer;
        _endTokens = call.IgnoresEnd ? [] : [.. endTokens];
        _metrics = metrics;
        _startedAt = startedAt;
        _left = call.Prompts.Count;
        _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _running = Task.WhenAll(Enumerable.Range(0, call.Prompts.Count).Select(choice => RunAsync(choice, _stop.Token)));
    }

    public ChannelReader<AnswerPiece> Pieces => _pieces.Reader;

    /// <summary>Tokens of the prompts, tokens of the answers, and tokens of the prompts that were not computed for this.</summary>
    public AnswerUsage Usage => new(_call.Prompts.Sum(prompt => prompt.Tokens.Count), Volatile.Read(ref _completionTokens), Volatile.Read(ref _cachedTokens));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        _stop.Dispose();
    }

    /// <summary>The root of one choice's loop: what ends it, whatever it is, becomes the end of the pieces.</summary>
    private async Task RunAsync(int choice, CancellationToken cancellationToken)
    {
        try
        {
            await GenerateAsync(choice, cancellationToken).ConfigureAwait(false);
            if (Interlocked.Decrement(ref _left) == 0)
            {
                _pieces.Writer.TryComplete();
            }
        }
        catch (Exception exception)
        {
            _pieces.Writer.TryComplete(exception);
            await _stop.CancelAsync().ConfigureAwait(false);
        }
    }

    private async Task GenerateAsync(int choice, CancellationToken cancellationToken)
    {
        var prompt = _call.Prompts[choice];
        var text = new AnswerText(_tokenizer, _call.Stops);

        // The prompt goes out with the first token: until then the request can still be refused.
        var before = _call.Echoes ? prompt.Text : "";
        var finishReason = "length";
        var isFirst = true;
        await foreach (var token in _generator.GenerateAsync(RequestFor(prompt), cancellationToken).ConfigureAwait(false))
        {
            Interlocked.Increment(ref _completionTokens);
            if (isFirst)
            {
                isFirst = false;
                Interlocked.Add(ref _cachedTokens, token.CachedTokens);
                _metrics.FirstToken(_startedAt, prompt.Tokens.Count, token.CachedTokens);
            }

            var isEnd = _endTokens.Contains(token.Token);
            var piece = isEnd ? "" : before + text.Append(token.Token);
            before = isEnd ? before : "";
            if (isEnd || text.IsStopped)
            {
                before += piece;
                finishReason = "stop";
                break;
            }

            if (piece.Length > 0)
            {
                await _pieces.Writer.WriteAsync(new AnswerPiece(choice, piece, null), cancellationToken).ConfigureAwait(false);
            }
        }

        var rest = text.Finish();
        await _pieces.Writer.WriteAsync(new AnswerPiece(choice, before + rest, text.IsStopped ? "stop" : finishReason), cancellationToken).ConfigureAwait(false);
    }

    private GenerationRequest RequestFor(CompletionPrompt prompt) => new()
    {
        Prompt = prompt.Tokens,
        MaxTokens = prompt.MaxTokens,
        Sampling = _call.Sampling,
        StopTokens = _endTokens,
        Sequence = _call.Sequence,
    };
}

internal readonly record struct AnswerUsage(int PromptTokens, int CompletionTokens, int CachedTokens);
