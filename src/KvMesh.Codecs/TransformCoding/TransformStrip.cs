using System.Buffers.Binary;
using KvMesh.Codecs.Bases;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.EntropyCoding;

namespace KvMesh.Codecs.TransformCoding;

/// <summary>
/// A strip of <see cref="TransformCodec"/>: u32 numbers beyond the steps; for each run of eight axes u8 bits and the spread of the run beside that of the
/// model in eighths of an octave, u8, 128 for none; the stream of all runs that have bits, row by row; the numbers beyond the steps as singles.
/// </summary>
internal static class TransformStrip
{
    /// <summary>Axes that share bits and spread.</summary>
    public const int RunLength = 8;

    private const int HeadBytes = sizeof(uint);
    private const int RunBytes = 2;
    private const int NumbersOfAnEscape = 16;
    private const int MostSteps = 127;
    private const int PartsOfAnOctave = 8;
    private const int NoOctave = 16;

    private const int RowsSlot = 0;
    private const int SymbolSlot = 1;
    private const int StreamSlot = 2;
    private const int AlongSlot = 3;
    private const int ContextSlot = 4;
    private const int WorkSlot = 5;
    private const int RunSlot = 6;
    private const int StepSlot = 7;

    // Steps of a normal number's spread that take 0, 1, … bits once entropy coded, and what they lose of its variance.
    private static readonly float[] Shares = [0, 2.45f, 1.09f, 0.52f, 0.26f, 0.13f, 0.065f];
    private static readonly float[] Losses = [1, 0.478f, 0.094f, 0.0225f, 0.00563f, 0.00141f, 0.00035f];
    private static readonly ContextTables Laws = new([.. Shares.Skip(1).Select(MakeLaw)]);
    private static readonly float[] Octaves = MakeOctaves();

    public static int MaxBytes(in StripShape shape) =>
        HeadBytes + (shape.Channels / RunLength * RunBytes) + Rans.MaxBytes(shape.Elements) + (shape.Elements / NumbersOfAnEscape * sizeof(float));

    public static int Encode(HeadBasis basis, int budget, in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        var channels = shape.Channels;
        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        source.ReadRows(0, shape.Tokens, rows, scratch.Level);
        if (KeyTurning.Applies(shape))
        {
            KeyTurning.TurnBack(shape, rows, scratch);
        }

        var along = scratch.Rent<float>(AlongSlot, shape.Elements);
        for (var token = 0; token < shape.Tokens; token++)
        {
            basis.Project(rows.Slice(token * channels, channels), along.Slice(token * channels, channels), scratch.Level);
        }

        var described = destination.Slice(HeadBytes, channels / RunLength * RunBytes);
        var steps = scratch.Rent<float>(StepSlot, channels);
        if (!Describe(basis, budget, along, described, scratch))
        {
            return KvCodec.NotCoded;
        }

        var coded = Steps(basis, described, steps) * shape.Tokens;
        var symbols = scratch.Rent<byte>(SymbolSlot, coded);
        var contexts = scratch.Rent<byte>(ContextSlot, coded);
        var escapes = Divide(along, described, steps, symbols, contexts);
        if (escapes > shape.Elements / NumbersOfAnEscape)
        {
            return KvCodec.NotCoded;
        }

        BinaryPrimitives.WriteInt32LittleEndian(destination, escapes);
        var at = HeadBytes + described.Length;
        var buffer = scratch.Rent<byte>(StreamSlot, Rans.MaxBytes(coded));
        var streamBytes = Rans.EncodeBackwards(symbols, contexts, Laws.Divisions, buffer, scratch.Level);
        buffer[^streamBytes..].CopyTo(destination[at..]);
        at += streamBytes;
        return at + WriteEscapes(along, described, symbols, channels, destination[at..]);
    }

    public static bool TryDecode(HeadBasis basis, in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        var channels = shape.Channels;
        var at = HeadBytes + (channels / RunLength * RunBytes);
        if (source.Length < at)
        {
            return false;
        }

        var described = source[HeadBytes..at];
        var escapes = BinaryPrimitives.ReadUInt32LittleEndian(source);
        if (!AreRuns(described) || escapes > shape.Elements / NumbersOfAnEscape || source.Length - at < escapes * sizeof(float))
        {
            return false;
        }

        var steps = scratch.Rent<float>(StepSlot, channels);
        var perRow = Steps(basis, described, steps);
        var outside = source[^((int)escapes * sizeof(float))..];
        Span<uint> states = stackalloc uint[Rans.ManyLanes];
        var reader = new ContextRansReader(source[at..^outside.Length], Laws.Slots, perRow * shape.Tokens, states);
        var symbols = scratch.Rent<byte>(SymbolSlot, perRow);
        var contexts = scratch.Rent<byte>(ContextSlot, perRow);
        FillContexts(described, contexts);
        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        var along = scratch.Rent<float>(AlongSlot, channels);
        for (var token = 0; token < shape.Tokens; token++)
        {
            if (!reader.IsValid || !reader.TryRead(contexts, symbols, scratch.Level) || !TryMultiply(symbols, described, steps, along, ref outside))
            {
                return false;
            }

            basis.Compose(along, rows.Slice(token * channels, channels), scratch.Level);
        }

        if (!reader.IsAtEnd || !outside.IsEmpty)
        {
            return false;
        }

        if (KeyTurning.Applies(shape))
        {
            KeyTurning.TurnForth(shape, rows, scratch);
        }

        target.WriteRows(0, shape.Tokens, rows, scratch.Level);
        return true;
    }

    /// <summary>Finds the spread of each run and shares bits out; false when numbers are beyond what can be said.</summary>
    private static bool Describe(HeadBasis basis, int budget, ReadOnlySpan<float> along, Span<byte> described, CodecScratch scratch)
    {
        var channels = basis.Channels;
        var runs = channels / RunLength;
        var most = Math.Min(budget * runs / TransformCodec.BudgetUnit, runs * BitAllocation.MostBits);
        var (lossLength, choiceLength) = BitAllocation.WorkLength(runs, most);
        var work = scratch.Rent<float>(WorkSlot, runs + lossLength);
        var choices = scratch.Rent<byte>(RunSlot, runs + choiceLength);
        var energies = work[..runs];
        var bits = choices[..runs];
        for (var run = 0; run < runs; run++)
        {
            float sum = 0, expected = 0;
            for (var axis = run * RunLength; axis < (run + 1) * RunLength; axis++)
            {
                expected += basis.Variances[axis];
                for (var at = axis; at < along.Length; at += channels)
                {
                    sum += along[at] * along[at];
                }
            }

            energies[run] = sum / (along.Length / channels);
            if (!float.IsFinite(energies[run]))
            {
                return false;
            }

            described[(run * RunBytes) + 1] = OctavesOf(expected > 0 ? energies[run] / expected : 0);
        }

        BitAllocation.Share(energies, Losses, most, bits, work[runs..], choices[runs..]);
        for (var run = 0; run < runs; run++)
        {
            // A run without energy, or for which the model knows none, has no steps.
            var isCoded = energies[run] > 0 && basis.Variances[run * RunLength] > 0;
            described[run * RunBytes] = isCoded ? bits[run] : (byte)0;
        }

        return true;
    }

    /// <summary>The nearest of the ratios that can be said; spreads go with the root of energies.</summary>
    private static byte OctavesOf(float ratio)
    {
        var root = MathF.Sqrt(ratio);
        int low = 0, high = Octaves.Length - 1;
        while (low < high)
        {
            var middle = (low + high) / 2;
            (low, high) = Octaves[middle] < root ? (middle + 1, high) : (low, middle);
        }

        return (byte)low;
    }

    private static bool AreRuns(ReadOnlySpan<byte> described)
    {
        for (var at = 0; at < described.Length; at += RunBytes)
        {
            if (described[at] > BitAllocation.MostBits)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The step of each axis, 0 for those without bits; returns how many have some.</summary>
    private static int Steps(HeadBasis basis, ReadOnlySpan<byte> described, Span<float> steps)
    {
        var coded = 0;
        for (var axis = 0; axis < steps.Length; axis++)
        {
            var (bits, octaves) = (described[axis / RunLength * RunBytes], described[(axis / RunLength * RunBytes) + 1]);
            steps[axis] = Shares[bits] * MathF.Sqrt(basis.Variances[axis]) * Octaves[octaves];
            coded += bits > 0 ? 1 : 0;
        }

        return coded;
    }

    private static void FillContexts(ReadOnlySpan<byte> described, Span<byte> contexts)
    {
        for (var at = 0; at < described.Length; at += RunBytes)
        {
            if (described[at] > 0)
            {
                contexts[..RunLength].Fill((byte)(described[at] - 1));
                contexts = contexts[RunLength..];
            }
        }
    }

    private static int Divide(ReadOnlySpan<float> along, ReadOnlySpan<byte> described, ReadOnlySpan<float> steps, Span<byte> symbols, Span<byte> contexts)
    {
        var (at, escapes) = (0, 0);
        for (var index = 0; index < along.Length; index++)
        {
            var axis = index % steps.Length;
            var bits = described[axis / RunLength * RunBytes];
            if (bits == 0)
            {
                continue;
            }

            var count = steps[axis] == 0 ? 0 : MathF.Round(along[index] / steps[axis]);
            var symbol = MathF.Abs(count) <= MostSteps ? (int)count + NormalFrequencies.Zero : 0;
            symbol = Laws.Divisions[((bits - 1) << 8) + symbol].Frequency > 0 ? symbol : 0;
            escapes += symbol == 0 ? 1 : 0;
            symbols[at] = (byte)symbol;
            contexts[at++] = (byte)(bits - 1);
        }

        return escapes;
    }

    private static int WriteEscapes(ReadOnlySpan<float> along, ReadOnlySpan<byte> described, ReadOnlySpan<byte> symbols, int channels, Span<byte> destination)
    {
        var (at, written) = (0, 0);
        for (var index = 0; index < along.Length; index++)
        {
            if (described[index % channels / RunLength * RunBytes] > 0 && symbols[at++] == 0)
            {
                BinaryPrimitives.WriteSingleLittleEndian(destination[written..], along[index]);
                written += sizeof(float);
            }
        }

        return written;
    }

    private static bool TryMultiply(
        ReadOnlySpan<byte> symbols, ReadOnlySpan<byte> described, ReadOnlySpan<float> steps, Span<float> along, ref ReadOnlySpan<byte> outside)
    {
        var at = 0;
        for (var axis = 0; axis < along.Length; axis++)
        {
            if (described[axis / RunLength * RunBytes] == 0)
            {
                along[axis] = 0;
                continue;
            }

            var symbol = symbols[at++];
            along[axis] = (symbol - NormalFrequencies.Zero) * steps[axis];
            if (symbol != 0)
            {
                continue;
            }

            if (outside.IsEmpty)
            {
                return false;
            }

            along[axis] = BinaryPrimitives.ReadSingleLittleEndian(outside);
            outside = outside[sizeof(float)..];
        }

        return true;
    }

    /// <summary>The law of normal steps, with a little for what lies beyond them.</summary>
    private static ushort[] MakeLaw(float share)
    {
        var law = NormalFrequencies.Make(share);
        law[NormalFrequencies.Zero]--;
        law[0]++;
        return law;
    }

    /// <summary>Powers of the eighth root of two, around one.</summary>
    private static float[] MakeOctaves()
    {
        // The eighth root of two, three square roots.
        var ratio = Math.Sqrt(Math.Sqrt(Math.Sqrt(2)));
        var octaves = new float[256];
        for (var index = 0; index < octaves.Length; index++)
        {
            var (whole, part) = Math.DivRem(index, PartsOfAnOctave);
            var value = 1.0;
            for (var step = 0; step < part; step++)
            {
                value *= ratio;
            }

            octaves[index] = (float)Math.ScaleB(value, whole - NoOctave);
        }

        return octaves;
    }
}
