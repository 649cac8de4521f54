using System.Buffers.Binary;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.EntropyCoding;

/// <summary>
/// Whole numbers of many channels, row after row, each coded with the law of what its channel was before: no tables, nothing learned beforehand. A
/// stream is the mean variance of channels and that of their means as bfloat16, u32 numbers beyond their law, the words of the coder, and those numbers as i16.
/// Both sides compute laws from the same sums of whole numbers in the same order.
/// </summary>
internal static class AdaptiveStream
{
    /// <summary>Slots of a scratch that are free for those who give and take numbers begin here.</summary>
    public const int SlotsUsed = 4;

    private const int HeadBytes = (2 * sizeof(ushort)) + sizeof(uint);
    private const int NumbersOfAnEscape = 8;

    private const int SymbolSlot = 0;
    private const int ContextSlot = 1;
    private const int StreamSlot = 2;
    private const int SumSlot = 3;

    public static int MaxBytes(int numbers) => HeadBytes + Rans.MaxBytes(numbers) + (numbers / NumbersOfAnEscape * sizeof(short));

    /// <summary>Writes a stream; -1 when too many numbers are like none before them.</summary>
    public static int Encode(ReadOnlySpan<short> numbers, int channels, Span<byte> destination, CodecScratch scratch)
    {
        var symbols = scratch.Rent<byte>(SymbolSlot, numbers.Length);
        var contexts = scratch.Rent<byte>(ContextSlot, numbers.Length);
        var memory = scratch.Rent<int>(SumSlot, RunningMoments.Length(channels));
        var (within, between) = RunningMoments.Variances(numbers, channels, memory);
        BinaryPrimitives.WriteUInt16LittleEndian(destination, Bf16.FromSingle(within));
        BinaryPrimitives.WriteUInt16LittleEndian(destination[sizeof(ushort)..], Bf16.FromSingle(between));
        var moments = Begin(destination, channels, memory);
        var escapes = 0;
        for (var at = 0; at < numbers.Length; at += channels)
        {
            var row = numbers.Slice(at, channels);
            var rowContexts = contexts.Slice(at, channels);
            moments.Predict(rowContexts);
            escapes += Code(row, moments.Centres, rowContexts, symbols.Slice(at, channels));
            moments.Learn(row);
        }

        if (escapes > numbers.Length / NumbersOfAnEscape)
        {
            return -1;
        }

        BinaryPrimitives.WriteInt32LittleEndian(destination[(2 * sizeof(ushort))..], escapes);
        var buffer = scratch.Rent<byte>(StreamSlot, Rans.MaxBytes(numbers.Length));
        var streamBytes = Rans.EncodeBackwards(symbols, contexts, RunningLaw.Tables.Divisions, buffer, scratch.Level);
        buffer[^streamBytes..].CopyTo(destination[HeadBytes..]);
        var end = HeadBytes + streamBytes;
        for (var index = 0; index < numbers.Length && escapes > 0; index++)
        {
            if (symbols[index] == RunningLaw.Escape)
            {
                BinaryPrimitives.WriteInt16LittleEndian(destination[end..], numbers[index]);
                end += sizeof(short);
                escapes--;
            }
        }

        return end;
    }

    /// <summary>Reads a stream of as many numbers. False when the bytes are none.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> source, int channels, Span<short> numbers, CodecScratch scratch)
    {
        if (source.Length < HeadBytes)
        {
            return false;
        }

        var escapes = BinaryPrimitives.ReadUInt32LittleEndian(source[(2 * sizeof(ushort))..]);
        if (escapes > numbers.Length / NumbersOfAnEscape || source.Length - HeadBytes < escapes * sizeof(short))
        {
            return false;
        }

        var outside = source[^((int)escapes * sizeof(short))..];
        Span<uint> states = stackalloc uint[Rans.ManyLanes];
        var reader = new ContextRansReader(source[HeadBytes..^outside.Length], RunningLaw.Tables.Slots, numbers.Length, states);
        if (!reader.IsValid)
        {
            return false;
        }

        var symbols = scratch.Rent<byte>(SymbolSlot, channels);
        var contexts = scratch.Rent<byte>(ContextSlot, channels);
        var moments = Begin(source, channels, scratch.Rent<int>(SumSlot, RunningMoments.Length(channels)));
        for (var at = 0; at < numbers.Length; at += channels)
        {
            moments.Predict(contexts);
            var row = numbers.Slice(at, channels);
            if (!reader.TryRead(contexts, symbols, scratch.Level) || !TryRead(symbols, moments.Centres, row, ref outside))
            {
                return false;
            }

            moments.Learn(row);
        }

        return reader.IsAtEnd && outside.IsEmpty;
    }

    private static RunningMoments Begin(ReadOnlySpan<byte> stored, int channels, Span<int> memory) => new(
        memory, channels, Bf16.ToSingle(BinaryPrimitives.ReadUInt16LittleEndian(stored)), Bf16.ToSingle(BinaryPrimitives.ReadUInt16LittleEndian(stored[sizeof(ushort)..])));

    private static int Code(ReadOnlySpan<short> row, ReadOnlySpan<int> centres, ReadOnlySpan<byte> contexts, Span<byte> symbols)
    {
        var escapes = 0;
        for (var channel = 0; channel < row.Length; channel++)
        {
            var distance = row[channel] - centres[channel];
            var symbol = Math.Abs(distance) <= RunningLaw.Farthest ? distance + RunningLaw.Zero : RunningLaw.Escape;
            var isNear = RunningLaw.Tables.Divisions[(contexts[channel] << 8) + symbol].Frequency > 0;
            symbols[channel] = isNear ? (byte)symbol : RunningLaw.Escape;
            escapes += symbols[channel] == RunningLaw.Escape ? 1 : 0;
        }

        return escapes;
    }

    private static bool TryRead(ReadOnlySpan<byte> symbols, ReadOnlySpan<int> centres, Span<short> row, ref ReadOnlySpan<byte> outside)
    {
        for (var channel = 0; channel < row.Length; channel++)
        {
            if (symbols[channel] != RunningLaw.Escape)
            {
                row[channel] = (short)(symbols[channel] - RunningLaw.Zero + centres[channel]);
                continue;
            }

            if (outside.IsEmpty)
            {
                return false;
            }

            row[channel] = BinaryPrimitives.ReadInt16LittleEndian(outside);
            outside = outside[sizeof(short)..];
        }

        return true;
    }
}

/// <summary>Means and variances of channels so far. A number far out counts as the farthest that has a symbol, so that sums stay small.</summary>
internal ref struct RunningMoments
{
    // So many numbers of the mean variance are taken to have been seen of each channel.
    private const float VarianceWeight = 2;
    private const float LeastVariance = 1e-4f;

    private readonly Span<int> _sums;
    private readonly Span<int> _squares;
    private readonly Span<int> _centres;
    private readonly float _within;
    private readonly float _between;
    private int _rows;

    /// <param name="memory">As <see cref="Length"/> says.</param>
    /// <param name="channels">Numbers of a row.</param>
    /// <param name="within">Mean variance of channels.</param>
    /// <param name="between">Variance of their means around zero.</param>
    public RunningMoments(Span<int> memory, int channels, float within, float between)
    {
        memory = memory[..Length(channels)];
        memory.Clear();
        _sums = memory[..channels];
        _squares = memory.Slice(channels, channels);
        _centres = memory[(2 * channels)..];
        _within = Sound(within);
        _between = Sound(between);
    }

    /// <summary>The whole number nearest to the mean of each channel, as of the last prediction.</summary>
    public readonly ReadOnlySpan<int> Centres => _centres;

    /// <summary>Integers of memory.</summary>
    public static int Length(int channels) => 3 * channels;

    /// <summary>What the constructor is to be told of numbers. Uses the memory.</summary>
    public static (float Within, float Between) Variances(ReadOnlySpan<short> numbers, int channels, Span<int> memory)
    {
        var moments = new RunningMoments(memory, channels, 1, 1);
        for (var at = 0; at < numbers.Length; at += channels)
        {
            moments.Learn(numbers.Slice(at, channels));
        }

        float rows = Math.Max(1, moments._rows);
        double within = 0, between = 0;
        for (var channel = 0; channel < channels; channel++)
        {
            var mean = moments._sums[channel] / rows;
            between += mean * mean;
            within += MathF.Max(0, (moments._squares[channel] / rows) - (mean * mean));
        }

        return ((float)(within / channels), (float)(between / channels));
    }

    /// <summary>The law of the next number of each channel.</summary>
    public readonly void Predict(Span<byte> contexts)
    {
        // The mean of a channel as seen, drawn to zero as far as the means of channels lie near it; what is unknown of it widens the law.
        var share = 1 / (_rows + (_within / _between));
        var unknown = 1 / ((1 / _between) + (_rows / _within));
        var spread = 1 / (_rows + VarianceWeight);
        for (var channel = 0; channel < _sums.Length; channel++)
        {
            var mean = _sums[channel] * share;
            var variance = ((_squares[channel] - (mean * _sums[channel]) + (VarianceWeight * _within)) * spread) + unknown;
            var centre = MathF.Round(mean);
            _centres[channel] = (int)centre;
            contexts[channel] = RunningLaw.Choose(mean - centre, variance);
        }
    }

    public void Learn(ReadOnlySpan<short> row)
    {
        for (var channel = 0; channel < row.Length; channel++)
        {
            var number = Math.Clamp((int)row[channel], -RunningLaw.Farthest, RunningLaw.Farthest);
            _sums[channel] += number;
            _squares[channel] += number * number;
        }

        _rows++;
    }

    /// <summary>Whatever was stored, something to begin with.</summary>
    private static float Sound(float variance) => variance >= LeastVariance && float.IsFinite(variance) ? variance : LeastVariance;
}
