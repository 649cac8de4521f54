namespace KvMesh.Codecs.Uniform;

/// <summary>Bits of a code, as a constant that loops over the codes of a byte unroll by.</summary>
internal interface ICodeWidth
{
    static abstract int Bits { get; }
}

internal readonly struct EightBits : ICodeWidth
{
    public static int Bits => 8;
}

internal readonly struct FourBits : ICodeWidth
{
    public static int Bits => 4;
}

internal readonly struct TwoBits : ICodeWidth
{
    public static int Bits => 2;
}

/// <summary>How scales of a row are found, as a constant.</summary>
internal interface IScaleAxis
{
    static abstract bool IsPerGroup { get; }
}

/// <summary>One scale for each group of consecutive channels; a group is a power of two, or the row.</summary>
internal readonly struct PerGroup : IScaleAxis
{
    public static bool IsPerGroup => true;
}

/// <summary>One scale for each channel.</summary>
internal readonly struct PerChannel : IScaleAxis
{
    public static bool IsPerGroup => false;
}

/// <summary>Where steps begin, as a constant.</summary>
internal interface IOrigin
{
    static abstract bool HasZeroPoint { get; }
}

/// <summary>Steps around zero: nothing to subtract or add.</summary>
internal readonly struct AroundZero : IOrigin
{
    public static bool HasZeroPoint => false;
}

/// <summary>Steps from the least number on.</summary>
internal readonly struct FromLeast : IOrigin
{
    public static bool HasZeroPoint => true;
}

/// <summary>What kernels need to know of a row.</summary>
/// <param name="CodeBytes">Bytes of codes.</param>
/// <param name="GroupShift">Channels shifted right by this are the index of their group.</param>
/// <param name="Steps">Greatest code.</param>
/// <param name="Bias">The code of zero in a grid around zero.</param>
internal readonly record struct RowGrid(int CodeBytes, int GroupShift, int Steps, int Bias)
{
    private const int WholeRow = 31;

    public static RowGrid Of(in UniformGrid grid, int channels, int groupLength) => new(
        channels / grid.Parts, groupLength == channels ? WholeRow : int.Log2(groupLength), grid.Steps, grid.Bias);
}
