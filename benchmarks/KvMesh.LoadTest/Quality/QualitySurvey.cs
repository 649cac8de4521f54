using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Worker.Model.Cache;
using KvMesh.Worker.Model.Compute;
using KvMesh.Worker.Model.Numerics;

namespace KvMesh.LoadTest.Quality;

/// <summary>Texts of each task with a part of each in the cache, and what codecs do to the answers behind it.</summary>
internal sealed class QualitySurvey : IDisposable
{
    /// <summary>No text that the model was trained with, or judged by, has such a seed.</summary>
    private const long FirstSeed = 5_000_000_000_000;

    private readonly ComputeTeam _team;
    private readonly LlamaModel _model;
    private readonly ForwardPass _pass;
    private readonly KvPagePool _pool;
    private readonly BlockGeometry _geometry;
    private readonly CodecScratch _scratch = new();
    private readonly List<(QualityTask Task, QualityContext Context)> _contexts = [];

    /// <param name="folder">Of a model with the vocabulary of <see cref="QualityWords"/>.</param>
    /// <param name="threads">That compute.</param>
    /// <param name="length">Tokens of a text.</param>
    /// <param name="blockTokens">Tokens of a block, as nodes store them.</param>
    /// <param name="counts">Texts of each task.</param>
    public QualitySurvey(string folder, int threads, int length, int blockTokens, IReadOnlyDictionary<QualityTask, int> counts)
    {
        _team = new ComputeTeam(threads);
        _model = LlamaModel.Load(folder, _team);
        _pass = new ForwardPass(_model);
        if (_model.Config.Vocabulary < QualityWords.Vocabulary)
        {
            throw new LoadTestException($"the model of {folder} has {_model.Config.Vocabulary} tokens; these texts need {QualityWords.Vocabulary}.");
        }

        var format = KvPageFormat.Of(_model.Config, KvElement.BFloat16, blockTokens);
        _geometry = new BlockGeometry(format.Layout, format.Order, BlockRegion.Whole(format.Layout));
        _pool = new KvPagePool(format, counts.Values.Sum() * ((length + blockTokens - 1) / blockTokens));
        foreach (var (task, count) in counts)
        {
            for (var text = 0; text < count; text++)
            {
                _contexts.Add((task, new QualityContext(_pass, _pool, QualityText.Make(task, FirstSeed + text, length))));
            }
        }
    }

    /// <summary>Bytes of the cached blocks.</summary>
    public long CachedBytes => _contexts.Sum(entry => entry.Context.Exact.Sum(block => (long)block.Length));

    /// <summary>With the blocks as they were computed.</summary>
    public QualityFigures Exact() => Judge("exact", static (block, _) => block) with { Bytes = CachedBytes };

    /// <summary>With each block encoded and decoded, as a tier of a node does it.</summary>
    public QualityFigures Of(KvCodec codec)
    {
        var encoded = new byte[BlockEncoder.MaxBytes(codec, _geometry)];
        long bytes = 0;
        var figures = Judge(codec.Name, Pass);
        return figures with { Bytes = bytes };

        byte[] Pass(byte[] block, long position)
        {
            var length = BlockEncoder.Encode(codec, _geometry, block, position, default, encoded, _scratch);
            bytes += length;
            var decoded = new byte[block.Length];
            var result = BlockDecoder.Decode(CodecRegistry.Standard, encoded.AsSpan(0, length), _geometry, decoded, _scratch);
            return result == DecodeResult.Ok ? decoded : throw new LoadTestException($"{codec.Name} does not decode what it encoded: {result}.");
        }
    }

    public void Dispose()
    {
        _contexts.ForEach(entry => entry.Context.Dispose());
        _pool.Dispose();
        _pass.Dispose();
        _model.Dispose();
        _team.Dispose();
    }

    /// <param name="through">Gets a block and the position of its first token.</param>
    private QualityFigures Judge(string name, Func<byte[], long, byte[]> through)
    {
        var scores = new Dictionary<QualityTask, QualityScore>();
        foreach (var (task, context) in _contexts)
        {
            byte[][] blocks = [.. context.Exact.Select((block, index) => through(block, (long)index * _geometry.Layout.BlockTokens))];
            scores[task] = scores.GetValueOrDefault(task) + context.Score(_pass, blocks);
        }

        return new QualityFigures(name, 0, CachedBytes, scores);
    }
}

/// <summary>What became of the answers.</summary>
/// <param name="Codec">Its name.</param>
/// <param name="Bytes">Of all cached blocks, encoded, headers included.</param>
/// <param name="ExactBytes">Of the same blocks as they were computed.</param>
/// <param name="Scores">By task.</param>
internal sealed record QualityFigures(string Codec, long Bytes, long ExactBytes, IReadOnlyDictionary<QualityTask, QualityScore> Scores)
{
    public double Ratio => (double)ExactBytes / Bytes;
}
