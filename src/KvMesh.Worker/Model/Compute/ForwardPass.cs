using KvMesh.Worker.Model.Files;
using KvMesh.Worker.Model.Numerics;

namespace KvMesh.Worker.Model.Compute;

/// <summary>
/// Computes tokens: of one sequence or of several, a prompt in one piece or in many, a token at a time. What comes out for a token is the same bit for
/// bit in all these cases, and for any number of threads. One pass at a time.
/// </summary>
public sealed unsafe class ForwardPass : IDisposable
{
    /// <summary>Most tokens of one pass: its buffers take about 30 × the hidden channels of singles for each.</summary>
    public const int MaxTokens = 8192;

    private readonly LlamaModel _model;
    private readonly ModelConfig _config;
    private readonly PassBuffers _buffers;
    private readonly AttentionStep _attention;
    private readonly PassRows _rows = new();

    public ForwardPass(LlamaModel model)
    {
        _model = model;
        _config = model.Config;
        _buffers = new PassBuffers(model.Team.ThreadCount);
        _attention = new AttentionStep(model);
    }

    /// <summary>Rows of logits of the last <see cref="Run"/>: those of its first input first.</summary>
    public int LogitRows { get; private set; }

    /// <summary>Computes the tokens of all inputs, writes their keys and values, and keeps the logits that were asked for.</summary>
    /// <exception cref="ArgumentException">A token, a position or the room of the pages does not fit the model; nothing was computed.</exception>
    public void Run(params ReadOnlySpan<ModelInput> inputs)
    {
        LogitRows = 0;
        _rows.Set(_config, inputs);
        var hidden = _config.Hidden;
        var stream = _buffers.Stream.Rent((long)_rows.Count * hidden);
        Embed(stream);
        _attention.Begin(_rows);
        for (var layer = 0; layer < _config.Layers; layer++)
        {
            _rows.ForEachPages(pages => pages.BeginLayer(layer));
            Attend(layer, stream);
            _rows.ForEachPages(pages => pages.EndLayer(layer));
            FeedForward(_model.Weights.Layers[layer], stream);
        }

        ComputeLogits(stream);
        LogitRows = _rows.LogitRows.Length;
    }

    /// <summary>One row of logits, one for each token of the vocabulary; valid until the next pass.</summary>
    public ReadOnlySpan<float> Logits(int row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)LogitRows, nameof(row));
        return new ReadOnlySpan<float>(_buffers.Logits.Rent(0) + ((long)row * _model.Weights.Head.PaddedOutputs), _config.Vocabulary);
    }

    public void Dispose()
    {
        _buffers.Dispose();
        _attention.Dispose();
    }

    private void Embed(float* stream) => ForEachTile(_rows.Count, (row, _) =>
        _model.Weights.Embedding.ReadRow(_rows.Tokens[row], new Span<float>(stream + ((long)row * _config.Hidden), _config.Hidden)));

    private void Attend(int layer, float* stream)
    {
        var weights = _model.Weights.Layers[layer];
        var input = Normalise(stream, _rows.Count, weights.AttentionNorm, row => row);
        var projected = Multiply(weights.QueryKeyValue, input, _buffers.Wide);
        var width = _config.Heads * _config.HeadChannels;
        var attended = _buffers.Attended.Rent((long)_rows.Count * width);
        _attention.Compute(layer, projected, weights.QueryKeyValue.PaddedOutputs, attended);
        var packed = Pack(_rows.Count, width, (row, _) => attended + ((long)row * width));
        AddTo(stream, Multiply(weights.AttentionOutput, packed, _buffers.Narrow), weights.AttentionOutput.PaddedOutputs);
    }

    private void FeedForward(LayerWeights weights, float* stream)
    {
        var width = _config.Intermediate;
        var input = Normalise(stream, _rows.Count, weights.FeedForwardNorm, row => row);
        var gates = Multiply(weights.GateUp, input, _buffers.Wide);
        var packed = Pack(_rows.Count, width, (row, worker) =>
        {
            var gate = gates + ((long)row * weights.GateUp.PaddedOutputs);
            var result = _buffers.Rows[worker].Rent(width);
            Lanes16.SwiGlu(gate, gate + width, result, width);
            return result;
        });
        AddTo(stream, Multiply(weights.Down, packed, _buffers.Narrow), weights.Down.PaddedOutputs);
    }

    private void ComputeLogits(float* stream)
    {
        var wanted = _rows.LogitRows;
        if (wanted.Length > 0)
        {
            var input = Normalise(stream, wanted.Length, _model.Weights.Norm, row => wanted[row]);
            Multiply(_model.Weights.Head, input, _buffers.Logits);
        }
    }

    private PackedRows Normalise(float* stream, int rows, NativeBuffer<float> weights, Func<int, int> sourceOf) => Pack(rows, _config.Hidden, (row, worker) =>
    {
        var result = _buffers.Rows[worker].Rent(_config.Hidden);
        Lanes16.RmsNorm(stream + ((long)sourceOf(row) * _config.Hidden), weights.Start, result, _config.Hidden, _config.NormEpsilon);
        return result;
    });

    /// <summary>Makes the rows of a product, each where <paramref name="rowOf"/> says for a row and worker.</summary>
    private PackedRows Pack(int rows, int depth, RowSource rowOf)
    {
        var packed = new PackedRows(_buffers.Packed.Rent(PackedRows.Count(rows, depth)), rows, depth);
        ForEachTile(rows, (row, worker) => packed.Set(row, rowOf(row, worker)));
        return packed;
    }

    private float* Multiply(PackedMatrix matrix, PackedRows input, ScratchBuffer output)
    {
        var results = output.Rent((long)input.Rows * matrix.PaddedOutputs);
        _model.Team.Run(matrix.PanelCount, (panel, worker) => matrix.MultiplyPanel(panel, input, results, _model.Level, _buffers.Panels[worker]));
        return results;
    }

    private void AddTo(float* stream, float* results, int stride) => ForEachTile(_rows.Count, (row, _) =>
        Lanes16.Add(stream + ((long)row * _config.Hidden), results + ((long)row * stride), _config.Hidden));

    private void ForEachTile(int rows, Action<int, int> work) => _model.Team.Run(PackedRows.TileCount(rows), (tile, worker) =>
    {
        for (var row = tile * TileKernel.Height; row < Math.Min((tile + 1) * TileKernel.Height, rows); row++)
        {
            work(row, worker);
        }
    });

    private delegate float* RowSource(int row, int worker);
}
