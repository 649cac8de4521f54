using KvMesh.Codecs.Layouts;
using KvMesh.Worker.Model.Numerics;

namespace KvMesh.Worker.Model.Compute;

/// <summary>Sines and cosines of the positions of a pass, and the rotation by them: channel i of a head with channel i + half.</summary>
internal sealed unsafe class RopeTable : IDisposable
{
    private readonly double[] _frequencies;
    private readonly double _factor;
    private readonly ScratchBuffer _table = new();

    public RopeTable(RopeSpec rope)
    {
        _frequencies = rope.Frequencies();
        _factor = rope.KeyScale;
    }

    private int Pairs => _frequencies.Length;

    /// <summary>Computes the table of a pass: one row for each position.</summary>
    public float* Fill(ReadOnlySpan<int> positions)
    {
        var table = _table.Rent((long)positions.Length * 2 * Pairs);
        for (var row = 0; row < positions.Length; row++)
        {
            var cosines = Row(table, row);
            for (var pair = 0; pair < Pairs; pair++)
            {
                var (sine, cosine) = Math.SinCos(positions[row] * _frequencies[pair]);
                cosines[pair] = (float)(cosine * _factor);
                cosines[Pairs + pair] = (float)(sine * _factor);
            }
        }

        return table;
    }

    /// <summary>Cosines of a row, with its sines behind them.</summary>
    public float* Row(float* table, int row) => table + ((long)row * 2 * Pairs);

    /// <summary>Turns one head in place.</summary>
    public void Turn(float* head, float* cosines)
    {
        var sines = cosines + Pairs;
        for (var pair = 0; pair < Pairs; pair++)
        {
            var first = head[pair];
            var second = head[Pairs + pair];
            head[pair] = (first * cosines[pair]) - (second * sines[pair]);
            head[Pairs + pair] = (second * cosines[pair]) + (first * sines[pair]);
        }
    }

    public void Dispose() => _table.Dispose();
}
