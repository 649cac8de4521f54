using System.Collections.Immutable;

namespace KvMesh.Codecs.Layouts;

/// <summary>Which channels rotate together. Append only: part of the layout hash.</summary>
public enum RopeStyle : byte
{
    /// <summary>Channel i with channel i + rotary / 2, as Llama in vLLM and transformers.</summary>
    Half = 1,

    /// <summary>Channel 2i with channel 2i + 1, as GPT-J and the original Llama weights.</summary>
    Interleaved = 2,
}

/// <summary>Whether keys are stored before or after they were rotated to their position. Append only: part of the layout hash.</summary>
public enum KeyStage : byte
{
    /// <summary>As attention uses them, which is how engines store them.</summary>
    Rotated = 1,

    /// <summary>Without their position.</summary>
    Unrotated = 2,
}

/// <summary>How a model stretches its positions. Append only: part of the layout hash.</summary>
public enum RopeScaling : byte
{
    None = 0,

    /// <summary>All frequencies divided by the factor.</summary>
    Linear = 1,

    /// <summary>Llama 3.1: low frequencies divided by the factor, high ones kept, a ramp between.</summary>
    Llama3 = 2,

    /// <summary>YaRN (Peng et al., 2023): as Llama 3 by the number of turns, but the ramp runs over pairs; keys are longer by the attention factor.</summary>
    Yarn = 3,

    /// <summary>NTK-aware: the base grows, as vLLM has it for a model that is stretched to the factor times its original context.</summary>
    Ntk = 4,

    /// <summary>LongRoPE (Ding et al., 2024): each frequency divided by a factor of its own; keys are longer by the attention factor.</summary>
    LongRope = 5,
}

/// <summary>The rotary position embedding of a model's keys.</summary>
public sealed record RopeSpec
{
    /// <summary>Base of the frequencies, as 500,000 for Llama 3.</summary>
    public required double Theta { get; init; }

    /// <summary>Channels at the start of a key that rotate; even, at most the key's channels.</summary>
    public required int RotaryChannels { get; init; }

    public RopeStyle Style { get; init; } = RopeStyle.Half;

    public RopeScaling Scaling { get; init; }

    /// <summary>The factor of <see cref="Scaling"/>; 1 without.</summary>
    public double Factor { get; init; } = 1;

    /// <summary>Llama 3: wavelengths above <see cref="OriginalTokens"/> / this are divided by the factor. YaRN: its slow beta, most often 1.</summary>
    public double LowFrequencyFactor { get; init; } = 1;

    /// <summary>Llama 3: wavelengths below <see cref="OriginalTokens"/> / this are kept. YaRN: its fast beta, most often 32.</summary>
    public double HighFrequencyFactor { get; init; } = 4;

    /// <summary>Llama 3, YaRN, LongRoPE: context that the model was trained with before it was stretched.</summary>
    public int OriginalTokens { get; init; } = 8192;

    /// <summary>LongRoPE: what each pair's frequency is divided by, of the list that the model's keys were made with; empty otherwise.</summary>
    public ImmutableArray<double> PairFactors { get; init; } = [];

    /// <summary>YaRN, LongRoPE: by how much turned keys are longer than keys without position; 0 for what the method says of the factor.</summary>
    public double AttentionFactor { get; init; }

    /// <summary>By how much turned keys are longer than keys without position; 1 but for YaRN and LongRoPE.</summary>
    public double KeyScale => (Scaling, AttentionFactor) switch
    {
        (RopeScaling.Yarn or RopeScaling.LongRope, > 0) => AttentionFactor,
        (RopeScaling.Yarn, _) => Factor <= 1 ? 1 : (0.1 * Math.Log(Factor)) + 1,
        (RopeScaling.LongRope, _) => Factor <= 1 ? 1 : Math.Sqrt(1 + (Math.Log(Factor) / Math.Log(OriginalTokens))),
        _ => 1,
    };

    /// <summary>Angle in radians by which each pair turns from one position to the next; one entry per pair.</summary>
    public double[] Frequencies()
    {
        var theta = Scaling == RopeScaling.Ntk
            ? Theta * Math.Pow((Factor * Factor) - (Factor - 1), RotaryChannels / (RotaryChannels - 2.0))
            : Theta;
        var frequencies = new double[RotaryChannels / 2];
        for (var pair = 0; pair < frequencies.Length; pair++)
        {
            frequencies[pair] = Scale(Math.Pow(theta, -2.0 * pair / RotaryChannels), pair);
        }

        return frequencies;
    }

    /// <summary>The channels of one pair.</summary>
    public (int First, int Second) Pair(int pair) =>
        Style == RopeStyle.Half ? (pair, pair + (RotaryChannels / 2)) : (2 * pair, (2 * pair) + 1);

    internal void Validate(int keyChannels, string where)
    {
        if (RotaryChannels < 2 || RotaryChannels % 2 != 0 || RotaryChannels > keyChannels)
        {
            throw new ArgumentException($"{where}: rope turns {RotaryChannels} channels; it must be an even number from 2 to {keyChannels}.");
        }

        if (!double.IsFinite(Theta) || Theta <= 1 || !double.IsFinite(Factor) || Factor <= 0)
        {
            throw new ArgumentException($"{where}: rope theta {Theta} must be above 1 and its factor {Factor} above 0.");
        }

        if (Scaling is RopeScaling.Llama3 or RopeScaling.Yarn
            && !(LowFrequencyFactor > 0 && HighFrequencyFactor > LowFrequencyFactor && OriginalTokens > 0))
        {
            throw new ArgumentException(
                $"{where}: rope factors {LowFrequencyFactor} and {HighFrequencyFactor} must be above 0 and ascend, and {OriginalTokens} original tokens be above 0.");
        }

        ValidateStretching(where);
    }

    private void ValidateStretching(string where)
    {
        if (Scaling > RopeScaling.LongRope)
        {
            throw new ArgumentException($"{where}: rope scaling {(byte)Scaling} is unknown.");
        }

        if (!double.IsFinite(AttentionFactor) || AttentionFactor < 0)
        {
            throw new ArgumentException($"{where}: rope attention factor {AttentionFactor} must be 0 or above.");
        }

        var wanted = Scaling == RopeScaling.LongRope ? RotaryChannels / 2 : 0;
        if (PairFactors.Length != wanted || PairFactors.Any(factor => !double.IsFinite(factor) || factor <= 0))
        {
            throw new ArgumentException($"{where}: rope has {PairFactors.Length} factors of pairs; there must be {wanted}, all above 0.");
        }

        if ((Scaling == RopeScaling.LongRope && OriginalTokens < 2) || (Scaling == RopeScaling.Ntk && (Factor < 1 || RotaryChannels < 4)))
        {
            throw new ArgumentException($"{where}: rope of {RotaryChannels} channels and {OriginalTokens} tokens cannot be stretched by {Factor}.");
        }
    }

    private double Scale(double frequency, int pair)
    {
        switch (Scaling)
        {
            case RopeScaling.None or RopeScaling.Ntk:
                return frequency;
            case RopeScaling.Linear:
                return frequency / Factor;
            case RopeScaling.LongRope:
                return frequency / PairFactors[pair];
            case RopeScaling.Yarn:
                var first = Math.Max(Math.Floor(PairOfTurns(HighFrequencyFactor)), 0);
                var last = Math.Min(Math.Ceiling(PairOfTurns(LowFrequencyFactor)), RotaryChannels - 1);
                var stretched = Math.Clamp((pair - first) / (last == first ? 0.001 : last - first), 0, 1);
                return frequency * (1 - stretched + (stretched / Factor));
        }

        var wavelength = 2 * Math.PI / frequency;
        var turns = OriginalTokens / wavelength;
        var kept = Math.Clamp((turns - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor), 0, 1);
        return frequency * (kept + ((1 - kept) / Factor));
    }
    /// <summary>The pair, or a place between two, that turns so often within the original context.</summary>
    private double PairOfTurns(double turns) =>
        RotaryChannels * Math.Log(OriginalTokens / (turns * 2 * Math.PI)) / (2 * Math.Log(Theta));
}
