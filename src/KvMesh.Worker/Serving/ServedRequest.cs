using System.Threading.Channels;
using KvMesh.Worker.Model.Compute;

namespace KvMesh.Worker.Serving;

/// <summary>A request on its way. The engine's thread owns it; its caller reads tokens and may cancel.</summary>
internal sealed class ServedRequest
{
    private readonly Channel<GeneratedToken> _tokens;
    private readonly int _unread;
    private volatile bool _isCancelled;

    /// <param name="request">What is wanted; checked.</param>
    /// <param name="blockTokens">Tokens of a block.</param>
    /// <param name="unread">Most tokens that wait for the caller.</param>
    /// <param name="isPrefill">Whether only the full blocks before the prompt's last token are wanted, in the mesh.</param>
    public ServedRequest(GenerationRequest request, int blockTokens, int unread, bool isPrefill)
    {
        Request = request;
        IsPrefill = isPrefill;
        _unread = unread;
        _tokens = Channel.CreateBounded<GeneratedToken>(new BoundedChannelOptions(unread) { SingleReader = true, SingleWriter = true });
        CapacityTokens = request.Prompt.Count + (isPrefill ? 0 : request.MaxTokens - 1);
        SharableBlocks = (request.Prompt.Count - 1) / blockTokens;
        PromptTokens = isPrefill ? SharableBlocks * blockTokens : request.Prompt.Count;
        Chain = new TokenChain(request.Prompt, CapacityTokens + 1, blockTokens);
    }

    public GenerationRequest Request { get; }

    public bool IsPrefill { get; }

    public TokenChain Chain { get; }

    public ChannelReader<GeneratedToken> Tokens => _tokens.Reader;

    /// <summary>Tokens whose keys and values it may have.</summary>
    public int CapacityTokens { get; }

    /// <summary>Full blocks before the prompt's last token, which is computed in any case: its logits are wanted.</summary>
    public int SharableBlocks { get; }

    /// <summary>Tokens to compute before the first one is chosen.</summary>
    public int PromptTokens { get; }

    public SequencePages? Pages { get; set; }

    public IPrefixFetch? Fetch { get; set; }

    /// <summary>Tokens whose keys and values are there.</summary>
    public int Position { get; set; }

    /// <summary>Blocks that are computed while others are fetched.</summary>
    public (int First, int Count) Front { get; private set; }

    /// <summary>Blocks that were computed while others were fetched.</summary>
    public int FrontBlocks { get; private set; }

    /// <summary>Whether a pass has computed what follows a prefix whose last layers came meanwhile.</summary>
    public bool HasStreamed { get; set; }

    /// <summary>Tokens that are known and not computed, and that a pass may compute now.</summary>
    public int Missing => LastComputed - Position;

    public int CachedTokens { get; set; }

    public int Generated { get; private set; }

    public bool IsCancelled => _isCancelled;

    public bool IsDone { get; private set; }

    /// <summary>Completes when a prefill has computed what it was to.</summary>
    public Task Completion => _tokens.Reader.Completion;

    /// <summary>Whether a pass can go on with it: nothing is awaited, and its caller has room for a token.</summary>
    public bool IsRunnable => !IsDone && (Fetch is null || Front.Count > 0) && _tokens.Reader.Count < _unread;

    /// <summary>Where a pass must end.</summary>
    private int LastComputed => Fetch is not null && Front.Count > 0 ? (Front.First + Front.Count) * Pages!.Format.BlockTokens
        : IsPrefill ? PromptTokens : Chain.Count;

    /// <summary>Looks what the fetch leaves to passes.</summary>
    public void LookAtFront()
    {
        Front = Fetch is { IsOver: false } fetch && !_isCancelled ? fetch.LeftToCompute : default;
        if (Front.Count > 0)
        {
            Position = Math.Max(Position, Front.First * Pages!.Format.BlockTokens);
        }
    }

    /// <summary>A pass came so far while others are fetched.</summary>
    public void NoteFront()
    {
        var whole = (Position / Pages!.Format.BlockTokens) - Front.First;
        if (whole > 0)
        {
            FrontBlocks += whole;
            Fetch!.NoteComputed(Front.First, whole);
        }
    }

    /// <summary>The caller does not want more.</summary>
    public void Cancel() => _isCancelled = true;

    /// <summary>Its part of a pass of at most so many tokens. Prompts are cut where blocks end, so that they are published whole.</summary>
    public ModelInput NextInput(int most)
    {
        var end = Math.Min(Fetch is null || HasStreamed ? Chain.Count : LastComputed, Position + most);
        if (Position < PromptTokens)
        {
            var blockTokens = Pages!.Format.BlockTokens;
            end = Math.Min(PromptTokens, end);
            var whole = end / blockTokens * blockTokens;
            end = end < PromptTokens && whole > Position ? whole : end;
        }

        return new ModelInput(Chain.Tokens(Position, end - Position), Position, Pages!, !IsPrefill && end == Chain.Count ? 1 : 0);
    }

    /// <summary>Tells the caller one token more.</summary>
    public void Tell(int token)
    {
        // IsRunnable has seen the room, and nobody else writes.
        _tokens.Writer.TryWrite(new GeneratedToken(token, CachedTokens));
        Generated++;
        if (Generated == Request.MaxTokens || Request.StopTokens.Contains(token))
        {
            IsDone = true;
            return;
        }

        Chain.Add(token);
    }

    public void Finish(Exception? error = null)
    {
        IsDone = true;
        _tokens.Writer.TryComplete(error);
    }
}
