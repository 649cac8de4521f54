using System.Numerics;

namespace KvMesh.Engine.Retention;

/// <summary>
/// Estimates how often each of many fingerprints was seen lately: four counters for each, of which the least counts and those that are the least grow, halved when ten
/// times as many were seen as blocks are kept (Einziger, Friedman and Manes, ACM TOS 2017). It grows with what is kept: 16 to 32 bytes a block.
/// </summary>
internal sealed class FrequencySketch
{
    private const int Rows = 4;
    private const int MinWidth = 4096;

    /// <summary>Counters of a row for each block that is kept, as in Caffeine: with one, most estimates are too high, and by chance.</summary>
    private const int WidthPerBlock = 4;
    private const byte MaxCount = 15;
    private const int SeenPerBlock = 10;

    private byte[] _counts = new byte[Rows * MinWidth];
    private int _width = MinWidth;
    private long _seen;

    /// <param name="fingerprint">What was seen.</param>
    /// <param name="kept">Blocks that are kept now.</param>
    public void Add(ulong fingerprint, int kept)
    {
        if (kept > _width / WidthPerBlock)
        {
            Grow((int)BitOperations.RoundUpToPowerOf2((uint)kept * WidthPerBlock));
        }

        var least = Estimate(fingerprint);
        for (var row = 0; least < MaxCount && row < Rows; row++)
        {
            ref var count = ref _counts[Place(fingerprint, row)];
            count = Math.Max(count, (byte)(least + 1));
        }

        if (++_seen >= (long)SeenPerBlock * _width / WidthPerBlock)
        {
            Halve();
        }
    }

    public int Estimate(ulong fingerprint)
    {
        var least = MaxCount;
        for (var row = 0; row < Rows; row++)
        {
            least = Math.Min(least, _counts[Place(fingerprint, row)]);
        }

        return least;
    }

    private void Halve()
    {
        for (var place = 0; place < _counts.Length; place++)
        {
            _counts[place] >>= 1;
        }

        _seen /= 2;
    }

    /// <summary>A fingerprint's place keeps its low bits, so each count is copied to all places that it may go to: an estimate never falls.</summary>
    private void Grow(int width)
    {
        var counts = new byte[Rows * width];
        for (var row = 0; row < Rows; row++)
        {
            for (var start = 0; start < width; start += _width)
            {
                _counts.AsSpan(row * _width, _width).CopyTo(counts.AsSpan((row * width) + start));
            }
        }

        (_counts, _width) = (counts, width);
    }

    private int Place(ulong fingerprint, int row)
    {
        // Odd constants of the 64-bit golden ratio family, one a row.
        var mixed = (fingerprint + (ulong)row) * 0x9E37_79B9_7F4A_7C15;
        mixed ^= mixed >> 32;
        return (row * _width) + (int)(mixed & (ulong)(_width - 1));
    }
}
