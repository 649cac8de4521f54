using System.Numerics.Tensors;
using KvMesh.Worker.Model.Cache;
using KvMesh.Worker.Model.Compute;

namespace KvMesh.LoadTest.Quality;

/// <summary>
/// A text whose first blocks are in the cache. They were computed once; what follows is computed behind whatever keys and values they are given.
/// </summary>
internal sealed class QualityContext : IDisposable
{
    private readonly QualityText _text;
    private readonly PooledKvPages _pages;
    private readonly byte[][] _exact;

    /// <param name="pass">Computes; one context at a time.</param>
    /// <param name="pool">Room for the text.</param>
    public QualityContext(ForwardPass pass, KvPagePool pool, QualityText text)
    {
        _text = text;
        _pages = pool.NewSequence();
        if (!_pages.TryReserve(text.Tokens.Length))
        {
            throw new LoadTestException($"{text.Tokens.Length} tokens have no room in {pool.CapacityBlocks} blocks.");
        }

        CachedTokens = CachedBlocksOf(text, pool.Format.BlockTokens) * pool.Format.BlockTokens;
        pass.Run(new ModelInput(text.Tokens.AsMemory(0, CachedTokens), 0, _pages));
        _exact = [.. Enumerable.Range(0, CachedTokens / pool.Format.BlockTokens).Select(block => _pages.Block(block).ToArray())];
    }

    /// <summary>Tokens of the blocks that are in the cache.</summary>
    public int CachedTokens { get; }

    /// <summary>The blocks as they were computed.</summary>
    public IReadOnlyList<byte[]> Exact => _exact;

    /// <summary>Computes the rest behind these blocks.</summary>
    public QualityScore Score(ForwardPass pass, IReadOnlyList<byte[]> blocks)
    {
        for (var block = 0; block < blocks.Count; block++)
        {
            blocks[block].CopyTo(_pages.Block(block));
        }

        var rest = _text.Tokens.AsMemory(CachedTokens);
        pass.Run(new ModelInput(rest, CachedTokens, _pages, rest.Length));
        var score = default(QualityScore);
        for (var row = 0; row < rest.Length - 1; row++)
        {
            score += ScoreOf(pass.Logits(row), rest.Span[row + 1], _text.Answers[CachedTokens + row + 1]);
        }

        return score;
    }

    public void Dispose() => _pages.Dispose();

    /// <summary>Full blocks before the first answer; of a text without answers, half of it.</summary>
    private static int CachedBlocksOf(QualityText text, int blockTokens)
    {
        var first = Array.IndexOf(text.Answers, true);
        var blocks = (first < 0 ? text.Tokens.Length / 2 : first) / blockTokens;
        return blocks > 0 ? blocks : throw new LoadTestException($"blocks of {blockTokens} tokens are too long for a text of {text.Tokens.Length}: none is full before the first answer.");
    }

    private static QualityScore ScoreOf(ReadOnlySpan<float> logits, int next, bool isAnswer)
    {
        var largest = TensorPrimitives.Max(logits);
        var sum = 0.0;
        foreach (var logit in logits)
        {
            sum += Math.Exp(logit - largest);
        }

        var isRight = TensorPrimitives.IndexOfMax(logits) == next;
        return new QualityScore(isAnswer ? 1 : 0, isAnswer && isRight ? 1 : 0, 1, Math.Log(sum) - (logits[next] - largest));
    }
}

/// <summary>How well tokens were foretold.</summary>
/// <param name="Asked">Answers among them.</param>
/// <param name="Right">Those whose likeliest token was right.</param>
/// <param name="Tokens">All tokens.</param>
/// <param name="Loss">Sum over them of −ln of the probability that they had.</param>
internal readonly record struct QualityScore(int Asked, int Right, int Tokens, double Loss)
{
    public double Accuracy => (double)Right / Asked;

    public double LossPerToken => Loss / Tokens;

    public static QualityScore operator +(QualityScore left, QualityScore right) =>
        new(left.Asked + right.Asked, left.Right + right.Right, left.Tokens + right.Tokens, left.Loss + right.Loss);
}
