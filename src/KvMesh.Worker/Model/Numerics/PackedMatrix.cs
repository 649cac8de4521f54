using System.Runtime.InteropServices;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Worker.Model.Numerics;

/// <summary>
/// A matrix of weights, one row per output, in panels as <see cref="TileKernel"/> reads them. Singles, or bfloat16 as it was stored. The last panel is
/// filled up with zeros. Immutable once loaded.
/// </summary>
internal sealed unsafe class PackedMatrix : IDisposable
{
    // 128 KiB of singles of a panel: they stay in the second cache while all rows pass.
    private const int DepthBlock = 1024;

    // From here on it pays to make singles of bfloat16 once, and not again for each tile of rows.
    private const int RowsWorthExpanding = 2 * TileKernel.Height;

    private readonly NativeBuffer<float>? _singles;
    private readonly NativeBuffer<ushort>? _words;
    private NativeBuffer<float>? _bias;

    public PackedMatrix(int outputs, int depth, bool isBFloat)
    {
        Outputs = outputs;
        Depth = depth;
        PanelCount = (outputs + TileKernel.Width - 1) / TileKernel.Width;
        var count = (long)PanelCount * TileKernel.Width * depth;
        _singles = isBFloat ? null : new NativeBuffer<float>(count);
        _words = isBFloat ? new NativeBuffer<ushort>(count) : null;
    }

    public int Outputs { get; }

    public int Depth { get; }

    public int PanelCount { get; }

    public bool IsBFloat => _words is not null;

    /// <summary>Numbers of a row of results, with what fills the last panel.</summary>
    public int PaddedOutputs => PanelCount * TileKernel.Width;

    /// <summary>Stores the weights of one output, as the matrix holds them.</summary>
    public void SetRow(int output, ReadOnlySpan<byte> row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)output, (uint)Outputs, nameof(output));
        ArgumentOutOfRangeException.ThrowIfNotEqual(row.Length, Depth * (IsBFloat ? sizeof(ushort) : sizeof(float)), nameof(row));
        if (IsBFloat)
        {
            Scatter(MemoryMarshal.Cast<byte, ushort>(row), _words!.Start + First(output));
        }
        else
        {
            Scatter(MemoryMarshal.Cast<byte, float>(row), _singles!.Start + First(output));
        }
    }

    /// <summary>Stores what is added to the results.</summary>
    public void SetBias(ReadOnlySpan<float> bias, int firstOutput)
    {
        _bias ??= new NativeBuffer<float>(PaddedOutputs);
        bias.CopyTo(_bias.Span[firstOutput..]);
    }

    /// <summary>The weights of one output as singles.</summary>
    public void ReadRow(int output, Span<float> row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)output, (uint)Outputs, nameof(output));
        for (var at = 0; at < Depth; at++)
        {
            var index = First(output) + ((long)at * TileKernel.Width);
            row[at] = IsBFloat ? BFloatElement.Load(_words!.Start + index) : _singles!.Start[index];
        }
    }

    /// <summary>The results of one panel for all rows.</summary>
    /// <param name="panel">Which.</param>
    /// <param name="input">The rows.</param>
    /// <param name="output">Rows of <see cref="PaddedOutputs"/>.</param>
    /// <param name="level">Instructions to use.</param>
    /// <param name="scratch">Of the thread that calls.</param>
    public void MultiplyPanel(int panel, in PackedRows input, float* output, SimdLevel level, ScratchBuffer scratch)
    {
        var first = (long)panel * TileKernel.Width * Depth;
        var results = output + ((long)panel * TileKernel.Width);
        for (var depth = 0; depth < Depth; depth += DepthBlock)
        {
            var steps = Math.Min(DepthBlock, Depth - depth);
            var start = first + ((long)depth * TileKernel.Width);
            if (!IsBFloat)
            {
                Multiply<SingleElement, float>(input, _singles!.Start + start, results, depth, steps, level);
            }
            else if (input.Rows < RowsWorthExpanding)
            {
                Multiply<BFloatElement, ushort>(input, _words!.Start + start, results, depth, steps, level);
            }
            else
            {
                Multiply<SingleElement, float>(input, Expand(start, steps, scratch), results, depth, steps, level);
            }
        }

        AddBias(panel, input.Rows, results);
    }

    public void Dispose()
    {
        _singles?.Dispose();
        _words?.Dispose();
        _bias?.Dispose();
    }

    private void Multiply<TElement, T>(in PackedRows input, T* panel, float* results, int depth, int steps, SimdLevel level)
        where TElement : IPanelElement<T>
        where T : unmanaged
    {
        for (var row = 0; row < input.Rows; row += TileKernel.Height)
        {
            TileKernel.Multiply<TElement, T>(
                level, Math.Min(TileKernel.Height, input.Rows - row), input.Tile(row, depth), input.Stride, panel,
                results + ((long)row * PaddedOutputs), PaddedOutputs, steps, depth > 0);
        }
    }

    private float* Expand(long start, int steps, ScratchBuffer scratch)
    {
        var count = steps * TileKernel.Width;
        var singles = scratch.Rent(DepthBlock * TileKernel.Width);
        ElementConversion.ToSingle(
            Codecs.Layouts.KvElement.BFloat16, MemoryMarshal.AsBytes(new ReadOnlySpan<ushort>(_words!.Start + start, count)), new Span<float>(singles, count), SimdLevels.Best);
        return singles;
    }

    private void AddBias(int panel, int rows, float* results)
    {
        if (_bias is null)
        {
            return;
        }

        for (var row = 0; row < rows; row++)
        {
            Lanes16.Add(results + ((long)row * PaddedOutputs), _bias.Start + ((long)panel * TileKernel.Width), TileKernel.Width);
        }
    }

    private long First(int output) => ((long)(output / TileKernel.Width) * TileKernel.Width * Depth) + (output % TileKernel.Width);

    private static void Scatter<T>(ReadOnlySpan<T> row, T* first)
        where T : unmanaged
    {
        for (var at = 0; at < row.Length; at++)
        {
            first[(long)at * TileKernel.Width] = row[at];
        }
    }
}
