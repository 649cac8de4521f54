using System.Runtime.Intrinsics.X86;

namespace KvMesh.Codecs.Numerics;

/// <summary>Which instructions kernels may use. Results are the same bit for bit at every level.</summary>
public enum SimdLevel : byte
{
    /// <summary>One number at a time, on any processor.</summary>
    Scalar = 0,

    /// <summary>AVX2.</summary>
    Vector256 = 1,

    /// <summary>AVX-512 (F, BW, VL), where a kernel has a path for it; AVX2 elsewhere.</summary>
    Vector512 = 2,
}

/// <summary>What this processor can do.</summary>
public static class SimdLevels
{
    /// <summary>The highest level of this processor.</summary>
    public static SimdLevel Best { get; } =
        Avx512BW.VL.IsSupported ? SimdLevel.Vector512 : Avx2.IsSupported ? SimdLevel.Vector256 : SimdLevel.Scalar;

    /// <summary>All levels of this processor, lowest first.</summary>
    public static IEnumerable<SimdLevel> OfThisProcessor => Enum.GetValues<SimdLevel>().Where(level => level <= Best);
}
