using KvMesh.Worker.Model.Cache;
using KvMesh.Worker.Model.Files;
using KvMesh.Worker.Model.Numerics;

namespace KvMesh.Worker.Model.Compute;

/// <summary>Attention of a layer for all rows of a pass: turns queries and keys, writes keys and values into the pages, and reads them from there.</summary>
internal sealed unsafe class AttentionStep : IDisposable
{
    // Rows of a unit: enough that keys are read as singles rarely, few enough that there are units for all threads.
    private const int UnitRows = 128;

    // Scores of a unit, 16 MiB of singles: a long context takes fewer rows.
    private const int UnitScores = 4 << 20;

    private readonly ModelConfig _config;
    private readonly ComputeTeam _team;
    private readonly RopeTable _rope;
    private readonly AttentionUnit[] _units;
    private readonly List<Piece> _pieces = [];
    private readonly float _scale;
    private PassRows _rows = null!;
    private float* _angles;

    public AttentionStep(LlamaModel model)
    {
        _config = model.Config;
        _team = model.Team;
        _rope = new RopeTable(_config.Rope);
        _units = [.. Enumerable.Range(0, _team.ThreadCount).Select(_ => new AttentionUnit(_config.GroupSize, _config.HeadChannels, model.Level))];
        _scale = (float)(1 / Math.Sqrt(_config.HeadChannels));
    }

    /// <summary>Prepares what all layers of a pass share.</summary>
    public void Begin(PassRows rows)
    {
        _rows = rows;
        _angles = _rope.Fill(rows.Positions);
        _pieces.Clear();
        var row = 0;
        foreach (var input in rows.Inputs)
        {
            var most = Math.Clamp(UnitScores / input.EndPosition, TileKernel.Height, UnitRows) / _config.GroupSize;
            var step = Math.Max(1, most);
            for (var token = 0; token < input.Tokens.Length; token += step)
            {
                _pieces.Add(new Piece(input.Pages, row + token, input.Position + token, Math.Min(step, input.Tokens.Length - token)));
            }

            row += input.Tokens.Length;
        }

        // The longest first, so that no thread is left with it at the end.
        _pieces.Sort((one, other) => ((long)other.Tokens * (other.Position + other.Tokens)).CompareTo((long)one.Tokens * (one.Position + one.Tokens)));
    }

    /// <param name="layer">The layer.</param>
    /// <param name="projected">Queries, keys and values of each row; turned in place.</param>
    /// <param name="stride">Numbers from one row to the next.</param>
    /// <param name="output">Results: heads × channels for each row.</param>
    public void Compute(int layer, float* projected, int stride, float* output)
    {
        _team.Run(PackedRows.TileCount(_rows.Count), (tile, _) => Store(layer, tile, projected, stride));
        var width = _config.Heads * _config.HeadChannels;
        _team.Run(_pieces.Count * _config.KvHeads, (part, worker) =>
        {
            var piece = _pieces[part / _config.KvHeads];
            var head = part % _config.KvHeads;
            var channel = head * _config.GroupSize * _config.HeadChannels;
            _units[worker].Compute(
                piece.Pages, layer, head, piece.Position, piece.Tokens,
                projected + ((long)piece.Row * stride) + channel, stride,
                output + ((long)piece.Row * width) + channel, width);
        });
    }

    public void Dispose()
    {
        _rope.Dispose();
        foreach (var unit in _units)
        {
            unit.Dispose();
        }
    }

    private void Store(int layer, int tile, float* projected, int stride)
    {
        var first = tile * TileKernel.Height;
        var row = 0;
        foreach (var input in _rows.Inputs)
        {
            var from = Math.Max(first, row);
            row += input.Tokens.Length;
            for (var current = from; current < Math.Min(first + TileKernel.Height, row); current++)
            {
                StoreRow(input.Pages, layer, current, projected + ((long)current * stride));
            }
        }
    }

    private void StoreRow(IKvPages pages, int layer, int row, float* projected)
    {
        var angles = _rope.Row(_angles, row);
        var channels = _config.HeadChannels;
        var position = _rows.Positions[row];
        for (var head = 0; head < _config.Heads; head++)
        {
            var query = projected + ((long)head * channels);
            _rope.Turn(query, angles);
            for (var channel = 0; channel < channels; channel++)
            {
                query[channel] *= _scale;
            }
        }

        var keys = projected + ((long)_config.Heads * channels);
        var values = keys + ((long)_config.KvHeads * channels);
        for (var head = 0; head < _config.KvHeads; head++)
        {
            var key = keys + ((long)head * channels);
            _rope.Turn(key, angles);
            KvRows.WriteKey(pages, layer, head, position, key);
            KvRows.WriteValue(pages, layer, head, position, values + ((long)head * channels));
        }
    }

    /// <summary>Tokens of one sequence that a unit computes together.</summary>
    private readonly record struct Piece(IKvPages Pages, int Row, int Position, int Tokens);
}
