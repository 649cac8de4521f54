using KvMesh.Codecs.Numerics;
using KvMesh.Worker.Model.Cache;
using KvMesh.Worker.Model.Numerics;

namespace KvMesh.Worker.Model.Compute;

/// <summary>
/// Attention of some tokens of one sequence for the query heads of one KV head: what one thread computes at a time. Its rows are (token, query head of
/// the group), token by token. Row r sees the tokens up to its own.
/// </summary>
/// <remarks>
/// Each score is one chain along the channels, and each result one along the tokens, from first to last: a tile computes the tokens that all its rows
/// see together, and the few that only its later rows see row by row, so that no row ever adds what is not its own.
/// </remarks>
internal sealed unsafe class AttentionUnit : IDisposable
{
    // Tokens whose values are singles at a time: with 128 channels 32 KiB.
    private const int ValueTokens = 64;

    private readonly int _group;
    private readonly int _channels;
    private readonly int _paddedChannels;
    private readonly SimdLevel _level;
    private readonly ScratchBuffer _queries = new();
    private readonly ScratchBuffer _scores = new();
    private readonly ScratchBuffer _weights = new();
    private readonly ScratchBuffer _panel = new();
    private readonly ScratchBuffer _results = new();
    private readonly NativeBuffer<float> _row;

    public AttentionUnit(int group, int channels, SimdLevel level)
    {
        _group = group;
        _channels = channels;
        _paddedChannels = (channels + TileKernel.Width - 1) / TileKernel.Width * TileKernel.Width;
        _level = level;
        _row = new NativeBuffer<float>(channels);
    }

    /// <param name="pages">Keys and values, those of the tokens themselves included.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="head">The KV head.</param>
    /// <param name="position">Position of the first token.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="queries">Queries of the first token's first head of the group, turned and scaled.</param>
    /// <param name="queryStride">Numbers from one token's queries to the next.</param>
    /// <param name="output">Where results of the first token's first head of the group go.</param>
    /// <param name="outputStride">Numbers from one token's results to the next.</param>
    public void Compute(
        IKvPages pages, int layer, int head, int position, int tokens, float* queries, long queryStride, float* output, long outputStride)
    {
        var rows = tokens * _group;
        var context = position + tokens;
        var stride = (long)(context + TileKernel.Width - 1) / TileKernel.Width * TileKernel.Width;
        var tiles = PackedRows.TileCount(rows);
        var packed = _queries.Rent((long)tiles * TileKernel.Height * _channels);
        PackQueries(packed, rows, queries, queryStride);
        var scores = _scores.Rent(tiles * TileKernel.Height * stride);
        Score(pages, layer, head, position, rows, context, packed, scores, stride);
        var weights = _weights.Rent(tiles * TileKernel.Height * stride);
        Soften(position, rows, scores, weights, stride);
        var results = _results.Rent((long)tiles * TileKernel.Height * _paddedChannels);
        new Span<float>(results, checked(tiles * TileKernel.Height * _paddedChannels)).Clear();
        Gather(pages, layer, head, position, rows, context, weights, stride, results);
        for (var row = 0; row < rows; row++)
        {
            var target = output + (row / _group * outputStride) + ((long)(row % _group) * _channels);
            new ReadOnlySpan<float>(results + ((long)row * _paddedChannels), _channels).CopyTo(new Span<float>(target, _channels));
        }
    }

    public void Dispose()
    {
        _queries.Dispose();
        _scores.Dispose();
        _weights.Dispose();
        _panel.Dispose();
        _results.Dispose();
        _row.Dispose();
    }

    private static int RowsOfTile(int tile, int rows) => Math.Min(TileKernel.Height, rows - (tile * TileKernel.Height));

    /// <summary>Tokens that a row sees.</summary>
    private int Seen(int position, int row) => position + (row / _group) + 1;

    private void PackQueries(float* packed, int rows, float* queries, long stride)
    {
        for (var row = 0; row < rows; row++)
        {
            var query = queries + (row / _group * stride) + ((long)(row % _group) * _channels);
            var target = packed + ((long)(row / TileKernel.Height) * TileKernel.Height * _channels) + (row % TileKernel.Height);
            for (var channel = 0; channel < _channels; channel++)
            {
                target[channel * TileKernel.Height] = query[channel];
            }
        }
    }

    private void Score(IKvPages pages, int layer, int head, int position, int rows, int context, float* packed, float* scores, long stride)
    {
        var panel = _panel.Rent(Math.Max(_channels * TileKernel.Width, ValueTokens * _paddedChannels));
        for (var first = 0; first < context; first += TileKernel.Width)
        {
            ReadKeys(pages, layer, head, first, Math.Min(TileKernel.Width, context - first), panel);
            for (var tile = 0; tile * TileKernel.Height < rows; tile++)
            {
                var count = RowsOfTile(tile, rows);
                if (Seen(position, (tile * TileKernel.Height) + count - 1) > first)
                {
                    TileKernel.Multiply<SingleElement, float>(
                        _level, count, packed + ((long)tile * TileKernel.Height * _channels), TileKernel.Height, panel,
                        scores + (tile * TileKernel.Height * stride) + first, stride, _channels, accumulates: false);
                }
            }
        }
    }

    private void ReadKeys(IKvPages pages, int layer, int head, int first, int count, float* panel)
    {
        for (var lane = 0; lane < TileKernel.Width; lane++)
        {
            if (lane < count)
            {
                KvRows.ReadKey(pages, layer, head, first + lane, _row.Start);
            }
            else
            {
                _row.Span.Clear();
            }

            var source = _row.Start;
            for (var channel = 0; channel < _channels; channel++)
            {
                panel[(channel * TileKernel.Width) + lane] = source[channel];
            }
        }
    }

    /// <summary>Makes weights of scores, and packs them as the rows of the second product.</summary>
    private void Soften(int position, int rows, float* scores, float* weights, long stride)
    {
        for (var row = 0; row < rows; row++)
        {
            var seen = Seen(position, row);
            var source = scores + (row * stride);
            var scale = Lanes16.Exponentials(source, seen);
            var target = weights + (row / TileKernel.Height * TileKernel.Height * stride) + (row % TileKernel.Height);
            for (var token = 0; token < seen; token++)
            {
                target[(long)token * TileKernel.Height] = source[token] * scale;
            }
        }
    }

    private void Gather(IKvPages pages, int layer, int head, int position, int rows, int context, float* weights, long stride, float* results)
    {
        var panel = _panel.Rent(Math.Max(_channels * TileKernel.Width, ValueTokens * _paddedChannels));
        for (var first = 0; first < context; first += ValueTokens)
        {
            var count = Math.Min(ValueTokens, context - first);
            ReadValues(pages, layer, head, first, count, panel);
            for (var tile = 0; tile * TileKernel.Height < rows; tile++)
            {
                GatherTile(position, rows, tile, first, count, weights + (tile * TileKernel.Height * stride), panel, results);
            }
        }
    }

    private void GatherTile(int position, int rows, int tile, int first, int count, float* weights, float* panel, float* results)
    {
        var firstRow = tile * TileKernel.Height;
        var height = RowsOfTile(tile, rows);
        var common = Math.Clamp(Seen(position, firstRow) - first, 0, count);
        var start = weights + ((long)first * TileKernel.Height);
        for (var block = 0; block < _paddedChannels / TileKernel.Width; block++)
        {
            var values = panel + (block * ValueTokens * TileKernel.Width);
            var target = results + ((long)firstRow * _paddedChannels) + (block * TileKernel.Width);
            if (common > 0)
            {
                TileKernel.Multiply<SingleElement, float>(_level, height, start, TileKernel.Height, values, target, _paddedChannels, common, accumulates: true);
            }

            for (var row = 0; row < height; row++)
            {
                var own = Math.Clamp(Seen(position, firstRow + row) - first, 0, count);
                if (own > common)
                {
                    TileKernel.Multiply<SingleElement, float>(
                        _level, 1, start + ((long)common * TileKernel.Height) + row, TileKernel.Height, values + (common * TileKernel.Width),
                        target + ((long)row * _paddedChannels), _paddedChannels, own - common, accumulates: true);
                }
            }
        }
    }

    private void ReadValues(IKvPages pages, int layer, int head, int first, int count, float* panel)
    {
        for (var token = 0; token < count; token++)
        {
            KvRows.ReadValue(pages, layer, head, first + token, _row.Start);
            for (var channel = 0; channel < _channels; channel += TileKernel.Width)
            {
                var part = Math.Min(TileKernel.Width, _channels - channel);
                var target = new Span<float>(panel + ((channel / TileKernel.Width * ValueTokens) + token) * TileKernel.Width, TileKernel.Width);
                new ReadOnlySpan<float>(_row.Start + channel, part).CopyTo(target);
                target[part..].Clear();
            }
        }
    }
}
